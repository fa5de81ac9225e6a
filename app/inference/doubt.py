"""How far a report is to be doubted: further reports are drawn on the same image, and compared with it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add

from app.concurrency import gather_or_cancel
from app.ids import new_seed
from app.inference import pipelines
from app.inference.backend import Backend
from app.inference.events import Emit
from app.inference.generation import Options
from app.inference.writing import GeneratedText
from app.telemetry.timings import Timings
from models.agreement import Agreement, agreement

# The model's own distribution, nothing cut off: the share of such samples that state something estimates how probable
# the model holds it. Reports are drawn colder, and would agree with one another however unsure the model is.
_TEMPERATURE, _TOP_P = 1.0, 1.0


async def doubted_report(
    backend: Backend,
    codes: Sequence[int],
    samples: int,
    options: Options,
    timings: Timings | None = None,
    instruction: str | None = None,
    emit: Emit | None = None,
) -> tuple[GeneratedText, Agreement]:
    """The report that `report_on` gives, and how far `samples` further ones agree with it, all generated at once.

    Their seeds count up from the report's, they have its prompt and with it its prefix cache, and the usage is all of
    theirs. Only the report is emitted. Raises as `report_on`.
    """
    seed = new_seed() if options.seed is None else options.seed
    timings = timings or Timings()
    drawn = [
        replace(options, temperature=_TEMPERATURE, top_p=_TOP_P, seed=(seed + index) % 2**31)
        for index in range(1, samples + 1)
    ]
    report, *others = await gather_or_cancel(
        [
            pipelines.report_on(backend, codes, replace(options, seed=seed), timings, instruction, emit),
            *(pipelines.report_on(backend, codes, sample, timings, instruction) for sample in drawn),
        ]
    )
    usage = reduce(add, (other.usage for other in others), report.usage)
    return replace(report, usage=usage), agreement(report.text, [other.text for other in others])
