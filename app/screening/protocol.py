"""What the service needs of a screen."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.screen.config import Thresholds
from models.screen.look import Look
from models.screen.own_models import Comparison
from models.screen.pose import UPRIGHT, Pose

_DEFAULT = Thresholds()


@dataclass(frozen=True)
class Sight:
    """What was seen of one picture. `look` is what the bundle's screen says, None without one; `thresholds` belong to
    it. `comparison` is what the bundle's own models say, None where nobody asked them. `unreadable` says why nothing
    can be read in the pixels, None where something can.
    """

    look: Look | None
    unreadable: str | None = None
    thresholds: Thresholds = _DEFAULT
    comparison: Comparison | None = None

    @property
    def doubtful(self) -> bool:
        """Whether it is in doubt that this is a frontal chest radiograph, and not sure that it is none."""
        if self.look is not None:
            return self.thresholds.refuse <= self.look.frontal < self.thresholds.doubt
        return self.comparison is not None and self.comparison.doubtful

    @property
    def pose(self) -> Pose:
        """How the film lies."""
        look, limits = self.look, self.thresholds
        if look is None:
            return UPRIGHT if self.comparison is None else self.comparison.pose
        return Pose(
            look.turn if look.turned >= limits.turned else 0,
            look.inverted_grey >= limits.inverted_grey,
            look.mirrored >= limits.mirrored,
        )


class Screen(Protocol):
    """Looks at pictures."""

    async def start(self) -> None:
        """Load the network; returns when pictures can be looked at. Raises CodecDead."""

    async def look(self, pixels: np.ndarray) -> Sight:
        """Look at one picture as the model gets it: uint8 (size, size), grey.

        Raises Overloaded, Unavailable, WorkerFailed, CodecDead, EngineDead.
        """

    async def close(self) -> None:
        """Stop."""
