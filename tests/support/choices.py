"""Fakes that read their own drawings as a test says, and a client's tokens."""

import random
from collections.abc import Callable

from app.codec.fake import FakeCodec
from app.engine.fake import FakeEngine
from app.errors import RateLimited
from app.imaging import InlineReader
from app.inference import pipelines
from app.inference.backend import Backend
from app.inference.events import Drawing
from app.inference.generation import Options
from app.screening.fake import FakeScreen
from app.settings import ImagingSettings
from app.telemetry.timings import Timings
from tests.support.service import bundle_in_memory

BUNDLE = bundle_in_memory()
ASKED = "AP chest radiograph. Viral pneumonia."
FOUR = Options(seed=10, best_of=4)


class Models:
    """The fakes of engine and codec, which read and like the drawing of each seed as they are told to."""

    def __init__(self) -> None:
        self.engine = FakeEngine(BUNDLE.vocabulary)
        self.codec = FakeCodec()
        self.backend = Backend(BUNDLE, InlineReader(ImagingSettings(), 256), self.codec, self.engine, FakeScreen())

    async def read(self, texts: dict[int, str], likely: dict[int, float] | None = None) -> None:
        """What the model says of the drawings of seeds, and how likely it finds what was asked for."""
        seeds = {tuple(await self.read_codes(seed)): seed for seed in texts}

        def of(prompt: tuple[int, ...]) -> int:
            return seeds[tuple(BUNDLE.vocabulary.codes([i for i in prompt if i >= BUNDLE.vocabulary.image_offset]))]

        self.engine.write = lambda prompt: texts[of(prompt)]
        self.engine.log_likelihood = lambda prompt: (likely or {}).get(of(prompt), -5.0)

    async def read_codes(self, seed: int) -> list[int]:
        """What the drawing of a seed is encoded to."""
        draw = random.Random(seed)
        codes = [draw.randrange(BUNDLE.vocabulary.codebook_size) for _ in range(256)]
        return await self.codec.encode(await self.codec.decode(codes))

    async def draw(self, options: Options = FOUR, number: int = 1, text: str = ASKED) -> list[Drawing]:
        return await pipelines.draw(self.backend, text, options, Timings(), number)


class Quota:
    """A client's tokens of the day."""

    def __init__(self, tokens: int) -> None:
        self.tokens = self.left = tokens

    def reserve(self, most: int) -> Callable[[int], None]:
        if most > self.left:
            raise RateLimited("spent")
        self.left -= most

        def settle(used: int) -> None:
            self.left += most - used

        return settle

    @property
    def used(self) -> int:
        return self.tokens - self.left
