"""A screen without a network: every picture is an upright frontal radiograph. `enqueue` says what the next one is."""

import numpy as np

from app.screening.protocol import Sight
from models.screen.look import Look

FRONTAL = Look(
    frontal=0.999, lateral=0.0005, other_radiograph=0.0003, not_a_radiograph=0.0002,
    upright=0.999, turned_90=0.0004, turned_180=0.0003, turned_270=0.0003,
    mirrored=0.01, inverted_grey=0.001, cut=0.01,
)  # fmt: skip


class FakeScreen:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self._next: list[Sight] = []
        self.looked = 0

    def enqueue(self, *sights: Sight) -> None:
        """What the next pictures are, in order."""
        self._next.extend(sights)

    async def start(self) -> None:
        """Nothing to load."""

    async def look(self, pixels: np.ndarray) -> Sight:
        """What was enqueued; a frontal radiograph otherwise."""
        self.looked += 1
        return self._next.pop(0) if self._next else Sight(FRONTAL)

    async def close(self) -> None:
        """Nothing to stop."""
