"""The screen of a bundle without a network: its image tokenizer, calibrated on films, and statistics of the pixels."""

import asyncio

import numpy as np

from app.codec import Codec
from app.screening.protocol import Sight
from models.screen.calibration import Calibration
from models.screen.likeness import Likeness
from models.screen.statistics import unreadable


class OwnModelScreen:
    """Encodes and decodes a picture: what a tokenizer of films loses tells what is no film. It does not see how a film
    lies.
    """

    def __init__(self, codec: Codec, calibration: Calibration | None) -> None:
        """Without `calibration`, nothing but the statistics of the pixels is looked at."""
        self._codec = codec
        self._calibration = calibration

    async def start(self) -> None:
        """The codec starts by itself."""

    async def look(self, pixels: np.ndarray) -> Sight:
        """See `Screen.look`."""
        why = (await asyncio.to_thread(unreadable, pixels[None]))[0]
        if self._calibration is None:
            return Sight(None, why)
        codes = await self._codec.encode(pixels)
        made = await self._codec.decode(codes)
        likeness = await asyncio.to_thread(Likeness.of, pixels, made, codes)
        return Sight(None, why, unlike=bool(self._calibration.outside(likeness)))

    async def close(self) -> None:
        """Nothing of its own to stop."""
