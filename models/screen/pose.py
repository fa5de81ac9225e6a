"""How a film lies."""

from dataclasses import dataclass

import numpy as np

from models.screen.config import TURNS


@dataclass(frozen=True)
class Pose:
    """A film turned so many degrees anticlockwise, with inverted grey values, or mirrored."""

    turn: int = 0
    inverted: bool = False
    mirrored: bool = False

    def undone(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels, uint8 (size, size), of a film that lies so, as they are when it lies upright."""
        upright = np.rot90(pixels, -self.turn // 90)
        upright = upright[:, ::-1] if self.mirrored else upright
        return np.ascontiguousarray(255 - upright if self.inverted else upright)


UPRIGHT = Pose()
TURNED = tuple(Pose(turn) for turn in TURNS)
TURNED_AND_INVERTED = tuple(Pose(turn, inverted=True) for turn in TURNS)
MIRRORED = Pose(mirrored=True)
