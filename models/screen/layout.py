"""Where a picture is light and where it is dark, in the broad, and how far that lies from what is usual of films.

Lungs, heart and shoulders stand in the same places on every frontal film. The measure needs nothing but films.
"""

from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict

# A picture is averaged down to so many blocks a side.
_BLOCKS = 8
# Directions in which films differ most; what is left of a picture counts as one more.
_DIRECTIONS = 24
# Keeps a picture of one grey value from being blown up to noise.
_LEAST_SPREAD = 4.0
# Films are measured by layouts that were fitted without them, in so many parts.
_PARTS = 5


class Layout(BaseModel):
    """Principal components of the block means of films: `mean` (64), `directions` (K, 64), the standard deviation
    along each, and that of the rest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]
    deviations: tuple[float, ...]
    rest: float

    @classmethod
    def of_films(cls, films: np.ndarray) -> Self:
        """The layout of films, uint8 (N, size, size)."""
        blocks = _block_means(films)
        mean = blocks.mean(0)
        _, deviations, directions = np.linalg.svd((blocks - mean) / np.sqrt(len(blocks)), full_matrices=False)
        count = max(1, min(_DIRECTIONS, len(blocks) // 4))
        kept = directions[:count]
        left = (blocks - mean) - (blocks - mean) @ kept.T @ kept
        return cls(
            mean=tuple(mean.round(4).tolist()),
            directions=tuple(tuple(direction) for direction in kept.round(4).tolist()),
            deviations=tuple(np.maximum(deviations[:count], 1e-3).round(4).tolist()),
            rest=max(round(float(left.std()), 4), 1e-3),
        )

    def distances(self, pictures: np.ndarray) -> np.ndarray:
        """How far pictures, uint8 (N, size, size), lie from the films, in standard deviations: float (N,)."""
        directions = np.array(self.directions)
        away = _block_means(pictures) - np.array(self.mean)
        along = away @ directions.T
        left = away - along @ directions
        squared = ((along / self.deviations) ** 2).sum(1) + (left**2).sum(1) / self.rest**2
        found: np.ndarray = np.sqrt(squared)
        return found


def distances_of_films(films: np.ndarray) -> np.ndarray:
    """How far each of the films lies from the others, by a layout that was fitted without it: float (N,)."""
    parts = np.arange(len(films)) % _PARTS
    found = np.zeros(len(films))
    for part in range(min(_PARTS, len(films))):
        found[parts == part] = Layout.of_films(films[parts != part]).distances(films[parts == part])
    return found


def _block_means(pictures: np.ndarray) -> np.ndarray:
    """Mean grey of 8 x 8 blocks, each picture's to mean 0 and spread 1: (N, size, size) -> (N, 64)."""
    count, height, width = pictures.shape
    split = pictures.reshape(count, _BLOCKS, height // _BLOCKS, _BLOCKS, width // _BLOCKS)
    blocks = split.mean((2, 4), dtype=np.float64).reshape(count, -1)
    blocks -= blocks.mean(1, keepdims=True)
    normed: np.ndarray = blocks / (blocks.std(1, keepdims=True) + _LEAST_SPREAD)
    return normed
