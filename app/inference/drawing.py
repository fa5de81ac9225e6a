"""One drawing, from its prompt to its pixels, and the partial images on the way."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from app.engine import Guidance, Kind, Marking, Sampling
from app.errors import WorkerFailed
from app.inference.backend import Backend
from app.inference.events import Drawing, Emit, PartialImage
from app.inference.generation import Caller, Usage, collect, stream
from app.inference.partials import fade, fill, partial_rows
from app.telemetry import metrics
from app.telemetry.timings import Timings

# The published code allows 300 new tokens for an image of 256.
_REFERENCE_ROOM = 44


@dataclass
class DrawingRun:
    """One drawing under way: the codes `kept` come first, `partials` unfinished images are emitted on the way.

    Of several drawings of one request the first counts the prompts' tokens, which all of them share; one that is drawn
    `again` counts none. The prompt of `guidance` ends before the first image id.
    """

    backend: Backend
    sampling: Sampling
    caller: Caller
    timings: Timings
    kept: Sequence[int] = ()
    partials: int = 0
    emit: Emit | None = None
    index: int = 0
    guidance: Guidance | None = None
    again: bool = False
    _written: int = field(default=0, init=False)
    _partial: "asyncio.Task[None] | None" = field(default=None, init=False)

    async def draw(self, prompt: Sequence[int]) -> Drawing:
        """Draw what the prompt asks for. Raises Overloaded, WorkerFailed, FatalError."""
        try:
            with self.timings.stage("generate"), self.backend.partials.drawing():
                drawn = await self._generate(prompt)
        finally:
            if self._partial is not None:
                self._partial.cancel()
                await asyncio.gather(self._partial, return_exceptions=True)
        codes = (*self.kept, *drawn)
        if len(codes) != self.backend.bundle.image_tokens:
            raise WorkerFailed(f"The drawing has {len(codes)} codes instead of {self.backend.bundle.image_tokens}.")
        with self.timings.stage("detokenise"):
            pixels = await self.backend.codec.decode(codes)
        metrics.IMAGE_TOKENS.labels(direction="out").inc(len(drawn))
        image = 0 if self._counts_none else self._rows * len(self.kept)
        usage = Usage(self._counted(prompt), image, self._written)
        scale = 1.0 if self.guidance is None else self.guidance.scale
        return Drawing(codes, pixels, self.sampling.seed, usage, self.index, scale)

    async def _generate(self, prompt: Sequence[int]) -> list[int]:
        """The new codes: masked, in one pass; or, as the published code, unmasked until an attempt holds exactly one
        image's ids, with seeds that count up. Raises WorkerFailed where no attempt does.
        """
        backend, vocabulary = self.backend, self.backend.bundle.vocabulary
        if not backend.reference_attempts:
            opened = [*prompt, *backend.bundle.prompts.image_opening(), *vocabulary.image_ids(self.kept)]
            return await self._generate_masked(opened, self._counted(prompt))
        for attempt in range(backend.reference_attempts):
            sampling = self.sampling
            trial = replace(sampling, seed=sampling.seed + attempt, max_tokens=sampling.max_tokens + _REFERENCE_ROOM)
            # Each attempt is paid for.
            read = 0 if attempt else self._counted(prompt)
            deltas = stream(backend.engine, prompt, Kind.ANY, trial, self.caller, self.timings, read)
            ids, _ = await collect(deltas)
            self._written += len(ids)
            found = [token for token in ids if token >= vocabulary.image_offset]
            if len(found) == backend.bundle.image_tokens:
                return vocabulary.codes(found)
        raise WorkerFailed(f"None of {backend.reference_attempts} unconstrained attempts drew a whole image.")

    @property
    def _rows(self) -> int:
        return 1 if self.guidance is None else 2

    def _counted(self, prompt: Sequence[int]) -> int:
        # What opens an image is given where the published code has it written, and is not counted.
        opening = len(self.backend.bundle.prompts.image_opening())
        without = 0 if self.guidance is None else len(self.guidance.prompt) - opening
        return 0 if self._counts_none else len(prompt) + without + self._rows * len(self.kept)

    @property
    def _counts_none(self) -> bool:
        return self.index > 0 or self.again

    async def _generate_masked(self, opened: list[int], counted: int) -> list[int]:
        backend, vocabulary = self.backend, self.backend.bundle.vocabulary
        rows, columns = backend.bundle.manifest.image.grid
        due = partial_rows(rows, len(self.kept) // columns, self.partials)
        ids: list[int] = []
        number = 0
        guidance = self.guidance
        if guidance is not None:
            guidance = replace(guidance, prompt=(*guidance.prompt, *vocabulary.image_ids(self.kept)))
        mark = backend.watermark
        marking = Marking(mark, len(self.kept)) if mark.strength else None
        deltas = stream(
            backend.engine, opened, Kind.IMAGE, self.sampling, self.caller, self.timings, counted, guidance, marking
        )
        async with aclosing(deltas):
            async for delta in deltas:
                ids.extend(delta.ids)
                done = (len(self.kept) + len(ids)) // columns
                if number < len(due) and due[number] <= done < rows:
                    self._begin_partial([*self.kept, *vocabulary.codes(ids)], number, done)
                    number += sum(step <= done for step in due[number:])
        self._written = self._rows * len(ids)
        return vocabulary.codes(ids)

    def _begin_partial(self, codes: list[int], number: int, done: int) -> None:
        busy = self._partial is not None and not self._partial.done()
        if self.emit is not None and not busy and self.backend.partials.allows():
            self._partial = asyncio.create_task(self._emit_partial(self.emit, codes, number, done))

    async def _emit_partial(self, emit: Emit, codes: list[int], number: int, done: int) -> None:
        rows, columns = self.backend.bundle.manifest.image.grid
        started = time.perf_counter()
        pixels = await self.backend.codec.decode(fill(codes, rows, columns))
        self.backend.partials.record(time.perf_counter() - started)
        emit(PartialImage(self.index, number, done, fade(pixels, done, rows), self.sampling.seed))
