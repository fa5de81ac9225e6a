"""The parts that do the model's work, as one value."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np

from app.codec import Codec
from app.engine import Engine
from app.imaging import ImageReader, Radiograph
from app.inference.cache import EncodedImageCache
from app.inference.comparison import CopyCheck
from app.inference.partials import PartialBudget
from app.screening import Screen, Screened
from app.settings import ScreenSettings
from models.bundle import Bundle
from models.watermark import Watermark


@dataclass(frozen=True)
class EncodedImage:
    """A radiograph as the model reads it: its codes, one a grid cell, row by row, and what the screen saw and decided.

    The radiograph's `warnings` are those of its header and of the screen together.
    """

    radiograph: Radiograph
    codes: tuple[int, ...]
    screened: Screened


@dataclass(frozen=True)
class Backend:
    """A verified bundle and the running parts that serve it."""

    bundle: Bundle
    reader: ImageReader
    codec: Codec
    engine: Engine
    screen: Screen
    screening: ScreenSettings = field(default_factory=ScreenSettings)
    # Unconstrained attempts at a drawing; 0 constrains the sampling instead.
    reference_attempts: int = 0
    encoded_images: EncodedImageCache[EncodedImage] = field(default_factory=lambda: EncodedImageCache(0))
    partials: PartialBudget = field(default_factory=PartialBudget)
    # Drawings are marked where its strength is above 0; pictures are looked at for it in any case.
    watermark: Watermark = field(default_factory=lambda: Watermark(b"", 0.0))
    copies: CopyCheck | None = None
    # Parts in other processes that something else replaces: where they do not answer, this one is not to end.
    elsewhere: frozenset[str] = frozenset()
    # Held by the one request for evidence whose interventions the engine has.
    mapping: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def probes(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """By part, a call that returns once the part has done a small piece of work. They raise CxrError."""
        size = self.bundle.manifest.image.size
        return {
            "engine": self.engine.probe,
            "codec": lambda: self.codec.encode(np.zeros((size, size), np.uint8)),
            "screen": lambda: self.screen.look(np.zeros((size, size), np.uint8)),
            "decoders": self.reader.probe,
        }
