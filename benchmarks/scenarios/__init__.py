"""Every scenario of the benchmark suite, by name."""

from collections.abc import Callable, Coroutine
from typing import Any

from benchmarks.measure import Result
from benchmarks.scenarios.codec import codec
from benchmarks.scenarios.drawing import drawing
from benchmarks.scenarios.evidence import evidence
from benchmarks.scenarios.gateway import gateway
from benchmarks.scenarios.growth import concurrency, held_studies, prompt_length
from benchmarks.scenarios.guidance import guidance
from benchmarks.scenarios.imaging import imaging
from benchmarks.scenarios.reports import mixed, report, second_question
from benchmarks.scenarios.samples import samples
from benchmarks.scenarios.screening import screening
from benchmarks.scenarios.stages import stages
from benchmarks.scenarios.startup import floor, startup
from benchmarks.scenarios.streaming import streaming
from benchmarks.scenarios.studies import studies
from benchmarks.suite import Suite

Scenario = Callable[[Suite], Coroutine[Any, Any, Result]]

# In the order in which they run: those without an engine have the machine for themselves first, and the one that ends
# the shared service comes last.
SCENARIOS: dict[str, Scenario] = {
    run.__name__: run
    for run in (
        floor,
        codec,
        imaging,
        gateway,
        held_studies,
        startup,
        drawing,
        guidance,
        streaming,
        report,
        stages,
        mixed,
        second_question,
        samples,
        evidence,
        screening,
        prompt_length,
        concurrency,
        studies,
    )
}
