"""Made-up films and drawings, and an index of them, for the tests of copies."""

import random

import numpy as np
from PIL import Image

from models.copies.building import build
from models.copies.index import CopyIndex
from tests.support.service import CODEBOOK

WEIGHTS = "0" * 64


def films(count: int, seed: int = 0, side: int = 64) -> np.ndarray:
    """Smooth pictures that differ: uint8 (count, side, side)."""
    rough = np.random.default_rng(seed).integers(20, 220, (count, 8, 8)).astype(np.uint8)
    size = (side, side)
    return np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in rough])


def index_of(known: np.ndarray, weights: str = WEIGHTS, dimensions: int = 24) -> CopyIndex:
    """An index of films; others of the kind are held out."""
    return build(known, films(60, 99, known.shape[1]), weights, dimensions)


def drawn_by_fakes(seeds: list[int]) -> np.ndarray:
    """What engine and codec of the fakes draw of seeds."""
    codes = np.array([[draw.randrange(CODEBOOK) for _ in range(256)] for draw in map(random.Random, seeds)])
    return (codes.reshape(-1, 16, 16) * 255 // CODEBOOK).astype(np.uint8).repeat(16, 1).repeat(16, 2)


def index_of_drawings(*seeds: int) -> CopyIndex:
    """An index of what the fakes draw of `seeds`, in its first rows, and of others; the limit is set on drawings."""
    return build(drawn_by_fakes([*seeds, *range(9000, 9060)]), drawn_by_fakes([*range(8000, 8060)]), WEIGHTS)
