"""What pictures are compared by: grey values in the broad, of square windows that one may share with the other.

A drawing that repeats a film seldom shows exactly its part of it: the model learnt from crops of its films down to
86 % of the side (`models/data/variations.py`). Every such crop holds the middle of the film. So the middle of each film
is in the index, and a picture is searched for it at several sizes and places, as it is and mirrored.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from PIL import Image

# A window is averaged down to so many cells a side.
SIDE = 16
# The middle of a film, by its side; every crop of at least 86 % holds it: 1 - 2 * (1 - 0.86).
MIDDLE = 0.72
# Keeps a window of one grey value from being blown up to noise.
_LEAST_SPREAD = 4.0
# Windows are cut from a picture of about this side.
_CUT_FROM = 128
_SCALES = (1.0, 0.93, 0.86)
# Of the places that are looked at first; in sides of the picture, as all lengths here.
STEP = 8 / 256
# How far the middle of a film may lie from the picture's where the picture shows the whole film.
_REACH = 16 / 256


@dataclass(frozen=True)
class Window:
    """A square window of a picture that shows `scale` of the side of a film: it has the size that the film's middle has
    there. Its centre lies `right` of the picture's and `down` from it, in sides of the picture.
    """

    scale: float = 1.0
    right: float = 0.0
    down: float = 0.0

    def box(self, side: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom in a picture of `side` pixels, moved to lie within it."""
        size = min(MIDDLE / self.scale, 1.0)
        left, top = (min(max(0.5 + away - size / 2, 0.0), 1.0 - size) for away in (self.right, self.down))
        return left * side, top * side, (left + size) * side, (top + size) * side

    def around(self, step: float) -> list[Self]:
        """The window and the 26 beside it: `step` away, in sides of the picture, and as much larger or smaller."""
        beside = (-step, 0.0, step)
        return [
            type(self)(min(self.scale + larger, 1.0), self.right + right, self.down + down)
            for larger in beside
            for right in beside
            for down in beside
        ]


def scan() -> list[Window]:
    """Windows at which the middle of a film is looked for first."""
    found = []
    for scale in _SCALES:
        reach = max((1 - scale) / (2 * scale), _REACH)
        places = np.linspace(-reach, reach, 2 * math.ceil(reach / STEP) + 1).tolist()
        found += [Window(scale, right, down) for right in places for down in places]
    return found


def grey_cells(picture: np.ndarray, windows: Sequence[Window]) -> np.ndarray:
    """Mean grey of 16 x 16 cells of windows of a picture, uint8 (S, S): float32 (windows, 256).

    Each window's have mean 0 and spread 1, so that other brightness or contrast is the same.
    """
    image = Image.fromarray(picture)
    grey = np.asarray(image.reduce(max(1, image.width // _CUT_FROM)), np.float32)
    down, across, row, column = _grid(tuple(windows), len(grey))
    means = (down @ grey @ across.T).reshape(len(down) // SIDE, SIDE, len(across) // SIDE, SIDE)
    cells = means[row, :, column, :].reshape(len(windows), SIDE * SIDE)
    cells -= cells.mean(1, keepdims=True)
    return np.asarray(cells / (cells.std(1, keepdims=True) + _LEAST_SPREAD), np.float32)


def mirrored(cells: np.ndarray) -> np.ndarray:
    """Cells (N, 256) as the same windows of the mirrored picture have them."""
    return cells.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(cells.shape)


@lru_cache(maxsize=8)
def _grid(windows: tuple[Window, ...], pixels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Shares of the pixels in cells down and across, each span of the windows once, and each window's row and column.

    Many windows have their left or their top edge in common. Kept for the windows of `scan`, which every picture needs.
    """
    boxes = [window.box(pixels) for window in windows]
    row, down = _places([(top, bottom) for _, top, _, bottom in boxes])
    column, across = _places([(left, right) for left, _, right, _ in boxes])
    return _shares(down, pixels), _shares(across, pixels), row, column


def _places(spans: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """The place of each span among those that differ, and these: (N,) and float32 (M, 2)."""
    place = {span: number for number, span in enumerate(dict.fromkeys(spans))}
    return np.array([place[span] for span in spans]), np.array(list(place), np.float32)


def _shares(spans: np.ndarray, pixels: int) -> np.ndarray:
    """The share that each pixel of a line has in the mean of each cell of spans (N, 2): float32 (N * 16, pixels)."""
    begin, end = spans[:, :1], spans[:, 1:]
    edges = begin + (end - begin) * np.linspace(0, 1, SIDE + 1, dtype=np.float32)
    place = np.arange(pixels, dtype=np.float32)
    within = np.minimum(edges[:, 1:, None], place + 1) - np.maximum(edges[:, :-1, None], place)
    return np.asarray(within.clip(0) * (SIDE / (end - begin)[:, :, None]), np.float32).reshape(-1, pixels)
