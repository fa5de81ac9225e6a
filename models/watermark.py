"""A mark in a drawing's codes: at every place a key calls half of the codes green, and green ones are drawn more often.

After Kirchenbauer et al. 2023 (A Watermark for Large Language Models), with the place in the grid in the part of the
text before: a code that is lost when a drawing is encoded again takes no other one with it. Whoever has the key counts
the green codes of a picture. Without the mark, each is green with probability 1/2.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_LABEL = b"llm-cxr watermark 1"
# P-value below which a picture counts as marked: chance makes one in a million.
MARKED_BELOW = 1e-6
# As many places as the largest grids of a few bundles have.
_PLACES_KEPT = 8192


@lru_cache(maxsize=_PLACES_KEPT)
def green_codes(key: bytes, place: int, codebook_size: int) -> np.ndarray:
    """Which codes are green at a place of the grid: bool (codebook_size,), read only.

    The bits of SHAKE-256 (FIPS 202) of key and place: each code has a coin of its own, the same on all machines.
    """
    seed = _LABEL + len(key).to_bytes(2, "big") + key + place.to_bytes(4, "big")
    bits = np.frombuffer(hashlib.shake_256(seed).digest((codebook_size + 7) // 8), np.uint8)
    green = np.unpackbits(bits)[:codebook_size].astype(bool)
    green.setflags(write=False)
    return green


@dataclass(frozen=True)
class Detection:
    """How many of a picture's codes are green, and how likely at least so many are without the mark."""

    green: int
    codes: int
    p_value: float


@dataclass(frozen=True)
class Watermark:
    """The mark of one `key`. `strength` is added to the logits of green codes, in nats; 0 marks nothing."""

    key: bytes
    strength: float

    def bias(self, places: np.ndarray | list[int], codebook_size: int) -> np.ndarray:
        """What the logits of each code get at each of the places: float32 (N, codebook_size)."""
        green = np.stack([green_codes(self.key, int(place), codebook_size) for place in places])
        return green.astype(np.float32) * np.float32(self.strength)

    def detect(self, codes: np.ndarray | list[int] | tuple[int, ...], codebook_size: int) -> Detection:
        """Look for the mark in all the codes of one picture, row by row.

        The p-value is exact over keys: for codes that were chosen without this one, the count is binomial.
        """
        found = [green_codes(self.key, place, codebook_size)[code] for place, code in enumerate(codes)]
        count = int(np.sum(found))
        at_least = sum(math.comb(len(found), greens) for greens in range(count, len(found) + 1))
        return Detection(count, len(found), at_least / 2 ** len(found))
