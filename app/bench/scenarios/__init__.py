"""Every scenario of the benchmark suite, by name."""

from collections.abc import Callable, Coroutine
from typing import Any

from app.bench.bench import Bench
from app.bench.measure import Result
from app.bench.scenarios.codec import codec
from app.bench.scenarios.drawing import drawing
from app.bench.scenarios.gateway import gateway
from app.bench.scenarios.growth import concurrency, held_studies, prompt_length
from app.bench.scenarios.imaging import imaging
from app.bench.scenarios.reading import mixed, report, second_question
from app.bench.scenarios.stages import stages
from app.bench.scenarios.startup import floor, startup
from app.bench.scenarios.streaming import streaming
from app.bench.scenarios.studies import studies

# In the order in which they run: those without an engine have the machine for themselves first, and the one that ends
# the shared service comes last.
SCENARIOS: dict[str, Callable[[Bench], Coroutine[Any, Any, Result]]] = {
    run.__name__: run
    for run in (
        floor,
        codec,
        imaging,
        gateway,
        held_studies,
        startup,
        drawing,
        streaming,
        report,
        stages,
        mixed,
        second_question,
        prompt_length,
        concurrency,
        studies,
    )
}
