"""The screen that every bundle has: its own models, calibrated on films, and statistics of the pixels."""

import asyncio
import uuid
from collections.abc import Sequence

import numpy as np

from app.codec import Codec
from app.engine import Engine
from app.screening.protocol import Screen, Sight
from models.prompts import Prompts
from models.screen.calibration import Calibration
from models.screen.own_models import UNLIKE, compare
from models.screen.statistics import unreadable


class ServedModels:
    """The bundle's own models, as the codec and the engine run them."""

    def __init__(self, codec: Codec, engine: Engine, prompts: Prompts) -> None:
        self._codec = codec
        self._engine = engine
        self._vocabulary = prompts.vocabulary
        self._before = tuple(prompts.before_image())

    async def encode(self, pixels: np.ndarray) -> list[int]:
        """Codes of a picture, uint8 (size, size)."""
        return await self._codec.encode(pixels)

    async def decode(self, codes: Sequence[int]) -> np.ndarray:
        """The picture of codes."""
        return await self._codec.decode(codes)

    async def log_likelihood(self, codes: Sequence[int]) -> float:
        """The mean logarithm of the probability of codes behind the prompt of a report."""
        prompt = (*self._before, *self._vocabulary.image_ids(codes))
        return float(np.mean(await self._engine.log_likelihoods(f"screen-{uuid.uuid4().hex}", prompt, len(codes))))


class OwnModelScreen:
    """Compares a picture with films. Without `calibration`, nothing but the statistics of the pixels is looked at."""

    def __init__(self, models: ServedModels, calibration: Calibration | None) -> None:
        self._models = models
        self._calibration = calibration

    async def start(self) -> None:
        """The codec and the engine start by themselves."""

    async def look(self, pixels: np.ndarray) -> Sight:
        """See `Screen.look`."""
        why = (await asyncio.to_thread(unreadable, pixels[None]))[0]
        if self._calibration is None:
            return Sight(None, why)
        # A probe looks at a black picture; the models are not asked about what cannot be read.
        comparison = UNLIKE if why else await compare(self._models, self._calibration, pixels)
        return Sight(None, why, comparison=comparison)

    async def close(self) -> None:
        """Nothing of its own to stop."""


class SecondOpinion:
    """A bundle's screen, which asks the bundle's own models where it doubts."""

    def __init__(self, screen: Screen, models: ServedModels, calibration: Calibration) -> None:
        self._screen = screen
        self._models = models
        self._calibration = calibration

    async def start(self) -> None:
        """Start the screen."""
        await self._screen.start()

    async def look(self, pixels: np.ndarray) -> Sight:
        """See `Screen.look`."""
        sight = await self._screen.look(pixels)
        if sight.unreadable is not None or not sight.doubtful:
            return sight
        comparison = await compare(self._models, self._calibration, pixels)
        return Sight(sight.look, sight.unreadable, sight.thresholds, comparison)

    async def close(self) -> None:
        """Stop the screen."""
        await self._screen.close()
