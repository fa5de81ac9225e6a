"""What the service needs of an image codec."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Codec(Protocol):
    """Turns radiographs into image codes and codes into radiographs."""

    @property
    def alive(self) -> bool:
        """False once the codec is gone for good."""

    @property
    def waiting(self) -> dict[str, int]:
        """Images that no batch has taken yet, by direction: `encode`, `decode`."""

    async def start(self) -> None:
        """Load the model; returns when requests can be served."""

    async def encode(self, pixels: np.ndarray) -> list[int]:
        """Tokenise one radiograph: uint8 (size, size), grey -> codes, row by row over the grid.

        Raises Overloaded, WorkerFailed, CodecDead.
        """

    async def decode(self, codes: Sequence[int]) -> np.ndarray:
        """Draw one radiograph: codes -> uint8 (size, size), grey. Raises as `encode`."""

    async def close(self) -> None:
        """Stop; waiting requests end with CodecDead."""
