"""A codec without a model: deterministic and instant. For tests and for timing the gateway."""

import hashlib
from collections.abc import Sequence

import numpy as np

from app.errors import CxrError


class FakeCodec:
    """Codes are derived from the image's bytes, images from the codes; `enqueue_failure` makes the next call raise."""

    def __init__(self, *, size: int = 256, grid: tuple[int, int] = (16, 16), codebook_size: int = 1024) -> None:
        self._size = size
        self._grid = grid
        self._codebook_size = codebook_size
        self._failures: list[CxrError] = []
        self.encoded = 0
        self.alive = True
        self.waiting = {"encode": 0, "decode": 0}

    def enqueue_failure(self, error: CxrError) -> None:
        """Make the next call raise `error`."""
        self._failures.append(error)

    async def start(self) -> None:
        """Nothing to load."""

    async def encode(self, pixels: np.ndarray) -> list[int]:
        """Codes that depend on every pixel."""
        if self._failures:
            raise self._failures.pop(0)
        self.encoded += 1
        seed = int.from_bytes(hashlib.sha256(pixels.tobytes()).digest()[:8], "big")
        rows, columns = self._grid
        codes: list[int] = np.random.default_rng(seed).integers(0, self._codebook_size, rows * columns).tolist()
        return codes

    async def decode(self, codes: Sequence[int]) -> np.ndarray:
        """An image whose grey levels are the codes, one square each."""
        if self._failures:
            raise self._failures.pop(0)
        rows, columns = self._grid
        levels = (np.array(codes).reshape(rows, columns) * 255 // self._codebook_size).astype(np.uint8)
        return levels.repeat(self._size // rows, 0).repeat(self._size // columns, 1)

    async def close(self) -> None:
        """Nothing to stop."""
        self.alive = False
