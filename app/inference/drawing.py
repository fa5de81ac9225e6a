"""One drawing, from its prompt to its pixels, and the looks at it on the way."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import numpy as np

from app.engine import Kind, Sampling
from app.errors import WorkerFailed
from app.inference.backend import Services
from app.inference.generation import Caller, Show, Usage, collect, stream
from app.inference.partials import faded, filled, moments
from app.telemetry import metrics
from app.telemetry.timings import Timings

# The published code allows 300 new tokens for an image of 256.
_REFERENCE_ROOM = 44


@dataclass(frozen=True)
class Drawing:
    """A generated radiograph: its codes and its pixels, uint8 (size, size)."""

    codes: tuple[int, ...]
    pixels: np.ndarray
    seed: int
    usage: Usage
    index: int = 0


@dataclass(frozen=True)
class Partial:
    """The `number`-th look at the `index`-th drawing while `rows` of its rows of codes are drawn."""

    index: int
    number: int
    rows: int
    pixels: np.ndarray
    seed: int


@dataclass
class Artist:
    """One drawing and the looks at it."""

    services: Services
    sampling: Sampling
    caller: Caller
    timings: Timings
    kept: Sequence[int]
    partials: int
    show: Show
    index: int
    _look: "asyncio.Task[None] | None" = None

    async def draw(self, prompt: list[int]) -> Drawing:
        """Draw what the prompt asks for. Raises Overloaded, WorkerFailed, FatalError."""
        try:
            with self.timings.stage("generate"), self.services.partials.drawing():
                drawn = await self._codes(prompt)
        finally:
            if self._look is not None:
                self._look.cancel()
                await asyncio.gather(self._look, return_exceptions=True)
        codes = (*self.kept, *drawn)
        with self.timings.stage("detokenise"):
            pixels = await self.services.codec.decode(codes)
        metrics.IMAGE_TOKENS.labels(direction="out").inc(len(drawn))
        usage = Usage(len(prompt) + len(self.kept), len(self.kept), len(drawn))
        drawing = Drawing(codes, pixels, self.sampling.seed, usage, self.index)
        self.show(drawing)
        return drawing

    async def _codes(self, prompt: list[int]) -> list[int]:
        """The codes that are new: masked, in one pass; or, as the published code, unmasked until an attempt holds
        exactly one image's ids, with seeds that count up. Raises WorkerFailed where no attempt does.
        """
        services, vocabulary = self.services, self.services.bundle.vocabulary
        if not services.reference_attempts:
            opened = [*prompt, *services.bundle.prompts.image_opening(), *vocabulary.image_ids(self.kept)]
            return await self._masked(opened)
        for attempt in range(services.reference_attempts):
            sampling = self.sampling
            trial = replace(sampling, seed=sampling.seed + attempt, max_tokens=sampling.max_tokens + _REFERENCE_ROOM)
            ids, _ = await collect(stream(services, prompt, Kind.ANY, trial, self.caller, self.timings))
            found = [token for token in ids if token >= vocabulary.image_offset]
            if len(found) == services.bundle.image_tokens:
                return vocabulary.codes(found)
        raise WorkerFailed(f"none of {services.reference_attempts} unconstrained attempts drew a whole image")

    async def _masked(self, opened: list[int]) -> list[int]:
        services = self.services
        rows, columns = services.bundle.manifest.image.grid
        due = moments(rows, len(self.kept) // columns, self.partials)
        ids: list[int] = []
        number = 0
        deltas = stream(services, opened, Kind.IMAGE, self.sampling, self.caller, self.timings)
        async with aclosing(deltas):
            async for delta in deltas:
                ids.extend(delta.ids)
                done = (len(self.kept) + len(ids)) // columns
                if number < len(due) and due[number] <= done < rows:
                    codes = [*self.kept, *services.bundle.vocabulary.codes(ids)]
                    self._begin_look(codes, number, done)
                    number += sum(step <= done for step in due[number:])
        return services.bundle.vocabulary.codes(ids)

    def _begin_look(self, codes: list[int], number: int, done: int) -> None:
        busy = self._look is not None and not self._look.done()
        if not busy and self.services.partials.allows():
            self._look = asyncio.create_task(self._show_partial(codes, number, done))

    async def _show_partial(self, codes: list[int], number: int, done: int) -> None:
        rows, columns = self.services.bundle.manifest.image.grid
        started = time.perf_counter()
        pixels = await self.services.codec.decode(filled(codes, rows, columns))
        self.services.partials.took(time.perf_counter() - started)
        self.show(Partial(self.index, number, done, faded(pixels, done, rows), self.sampling.seed))
