"""Of several drawings of one request, the one in which the model itself reads best what was asked for."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add

from app.concurrency import gather_or_cancel
from app.errors import InvalidRequest
from app.inference import copies
from app.inference.backend import Backend
from app.inference.drawing import DrawingRun
from app.inference.events import Drawing, Emit, Reading
from app.inference.generation import Caller, Options, Usage, log_likelihood
from app.inference.writing import generate_text
from app.telemetry import metrics
from app.telemetry.timings import Timings
from models.agreement import agrees


@dataclass(frozen=True)
class Choice:
    """Chooses drawings of what `text` asks for, and emits those that are chosen."""

    backend: Backend
    text: str
    caller: Caller
    timings: Timings
    emit: Emit | None = None

    def check_room(self) -> None:
        """Raises InvalidRequest where the text is too long to be read behind an image, before anything is drawn."""
        most = self.backend.engine.max_model_len
        # The engine generates a token behind what it finds the likelihood of.
        read = self._report_tokens + len(self._asked) + 1
        if read > most:
            detail = f"With its text behind an image, best_of makes a prompt of {read} tokens; {most} fit."
            raise InvalidRequest(detail, code="prompt_too_long")

    async def best(self, runs: Sequence[DrawingRun], prompt: Sequence[int], index: int) -> Drawing:
        """The best of the runs' drawings, the first of equals, as the `index`-th of the request. Its usage is all of
        theirs and of what was read; candidates that are too similar to a film of the training are left out.

        Raises as a run does, RateLimited, and ResemblesTraining where none is left.
        """
        candidates = await gather_or_cancel(self._candidate(run, prompt) for run in runs)
        usage = reduce(add, (drawing.usage for drawing in candidates))
        given = await copies.candidates_given(self.backend.copies, runs, candidates)
        best = max(given, key=lambda drawing: rank(drawing.reading))
        chosen = replace(best, index=index, usage=usage)
        if self.emit is not None:
            self.emit(chosen)
        return chosen

    async def _candidate(self, run: DrawingRun, prompt: Sequence[int]) -> Drawing:
        with self._set_aside():
            drawing = await run.draw(prompt)
        with self.timings.stage("read_back"):
            reading, usage = await self._read(drawing)
        return replace(drawing, reading=reading, usage=drawing.usage + usage)

    async def _read(self, drawing: Drawing) -> tuple[Reading, Usage]:
        backend = self.backend
        prompts, decoding = backend.bundle.prompts, backend.bundle.manifest.decoding
        # Not the codes that were drawn: some are likely to the language model and decode to something else.
        codes = await backend.codec.encode(drawing.pixels)
        metrics.IMAGE_TOKENS.labels(direction="in").inc(len(codes))
        prompt, asked = prompts.report(codes), self._asked
        # Neither the temperature nor the stops of the request: they are the drawing's.
        options = Options(temperature=0.0, seed=drawing.seed, caller=self.caller)
        report = await generate_text(backend, prompt, options.sampling(decoding.report), options, self.timings)
        likely = await log_likelihood(backend.engine, prompt, asked, self.caller)
        usage = report.usage + Usage(len(prompt) + len(asked), report.usage.image_tokens, 0)
        return Reading(report.text, agrees(self.text, report.text), likely), usage

    @contextmanager
    def _set_aside(self) -> Iterator[None]:
        """Has the tokens of the reading set aside meanwhile: without them the drawing would be for nothing."""
        decoding = self.backend.bundle.manifest.decoding.report
        settle = None
        if self.caller.reserve is not None:
            settle = self.caller.reserve(2 * self._report_tokens + decoding.max_tokens + len(self._asked))
        try:
            yield
        finally:
            if settle is not None:
                settle(0)

    @property
    def _report_tokens(self) -> int:
        bundle = self.backend.bundle
        return len(bundle.prompts.report(())) + bundle.image_tokens

    @cached_property
    def _asked(self) -> list[int]:
        # What ends a report is left out: it says how long reports are, nothing about the image.
        return self.backend.bundle.vocabulary.encode(self.text)


def rank(reading: Reading | None) -> tuple[bool, float]:
    """What orders readings, the best last: those that agree with the request, then the likelihood of its text."""
    if reading is None:
        return False, -math.inf
    return reading.agrees is True, reading.log_likelihood
