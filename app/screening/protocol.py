"""What the service needs of a screen."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.screen.config import Thresholds
from models.screen.look import Look

_DEFAULT = Thresholds()


@dataclass(frozen=True)
class Sight:
    """What was seen of one picture. `look` is None where the bundle has no network that looks; `unreadable` says why
    nothing can be read in the pixels, None where something can; `thresholds` belong to the network. `unlike` tells,
    where only the bundle's own tokenizer looks, whether the picture is unlike the films it was calibrated on.
    """

    look: Look | None
    unreadable: str | None = None
    thresholds: Thresholds = _DEFAULT
    unlike: bool | None = None


class Screen(Protocol):
    """Looks at pictures."""

    async def start(self) -> None:
        """Load the network; returns when pictures can be looked at. Raises CodecDead."""

    async def look(self, pixels: np.ndarray) -> Sight:
        """Look at one picture as the model gets it: uint8 (size, size), grey. Raises Overloaded, WorkerFailed."""

    async def close(self) -> None:
        """Stop."""
