"""Draws; what is too similar to a film that the model was trained on is drawn again, or refused.

What the index of a bundle can tell, and what it cannot: docs/security.md.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import structlog

from app.errors import ResemblesTraining
from app.inference.comparison import CopyCheck
from app.inference.drawing import DrawingRun
from app.inference.events import Drawing
from app.telemetry.metrics import DRAWINGS_COMPARED

log = structlog.get_logger(__name__)
_NOT_GIVEN = ", and is not given. Another seed or another prompt may draw something else."


async def draw(check: CopyCheck | None, run: DrawingRun, prompt: Sequence[int]) -> Drawing:
    """Draw, and draw again what is too similar to a film; emit what is given.

    A drawing that begins with codes of the client's own image is compared and given, whatever is found: the client has
    that film already, and its rows alone may make the two similar.

    Raises ResemblesTraining, and what DrawingRun.draw does.
    """
    drawing = await run.draw(prompt)
    if check is not None:
        drawing = await check.compared(drawing, run.timings)
        if run.kept:
            DRAWINGS_COMPARED.labels(outcome="edit").inc()
        else:
            drawing = await _unlike(check, run, prompt, drawing)
    if run.emit is not None:
        run.emit(drawing)
    return drawing


async def _unlike(check: CopyCheck, run: DrawingRun, prompt: Sequence[int], drawing: Drawing) -> Drawing:
    """The drawing, or the first of those drawn again that is not too similar; its usage is that of all."""
    # Without chance another seed draws the same.
    redraws = check.redraws if run.sampling.temperature > 0 else 0
    spent = drawing.usage
    for attempt in range(redraws):
        if not check.exceeded(drawing):
            break
        DRAWINGS_COMPARED.labels(outcome="redrawn").inc()
        sampling = replace(run.sampling, seed=seed_again(run.sampling.seed, attempt))
        # What is unfinished of it would follow unfinished images of a drawing that nobody gets.
        again = replace(run, sampling=sampling, partials=0, again=True)
        drawing = await check.compared(await again.draw(prompt), run.timings)
        spent += drawing.usage
    if check.exceeded(drawing):
        raise refused(redraws + 1)
    DRAWINGS_COMPARED.labels(outcome="given").inc()
    return replace(drawing, usage=spent)


def seed_again(seed: int, attempt: int) -> int:
    """The seed of the `attempt`-th redraw, 31 bits: alone it draws the same, and it is no seed that counts up from
    the first, which another drawing of the request has.
    """
    return int.from_bytes(hashlib.sha256(f"{seed} {attempt}".encode()).digest()[:4], "big") % 2**31


def refused(drawings: int) -> ResemblesTraining:
    """The error of a request all of whose `drawings` are too similar to a film; counted and logged."""
    DRAWINGS_COMPARED.labels(outcome="refused").inc()
    log.warning("drawing refused", drawings=drawings)
    drawn = f"Each of {drawings} drawings is" if drawings > 1 else "The drawing is"
    return ResemblesTraining(f"{drawn} too similar to a film that the model was trained on{_NOT_GIVEN}")


async def candidates_given(
    check: CopyCheck | None, runs: Sequence[DrawingRun], drawings: Sequence[Drawing]
) -> list[Drawing]:
    """Of candidates, those that may be given, compared. They are not drawn again: others of them stand in.

    Raises ResemblesTraining where none may.
    """
    if check is None:
        return list(drawings)
    compared = [await check.compared(drawing, run.timings) for run, drawing in zip(runs, drawings, strict=True)]
    if any(run.kept for run in runs):
        DRAWINGS_COMPARED.labels(outcome="edit").inc()
        return compared
    given = [drawing for drawing in compared if not check.exceeded(drawing)]
    if not given:
        raise refused(len(compared))
    DRAWINGS_COMPARED.labels(outcome="given").inc()
    return given
