"""What a bundle's own models say of a picture: which turn of it is the likeliest, and how unlike the films it is then.

Of the four turns of a film the upright one is the likeliest. What is unlike the films in its likeliest turn, and with
inverted grey values too, is none of them.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models.screen.calibration import Calibration
from models.screen.likeness import Likeness
from models.screen.pose import MIRRORED, TURNED, TURNED_AND_INVERTED, UPRIGHT, Pose


class OwnModels(Protocol):
    """The image tokenizer and the language model of a bundle."""

    async def encode(self, pixels: np.ndarray) -> list[int]:
        """Codes of a picture, uint8 (size, size)."""

    async def decode(self, codes: Sequence[int]) -> np.ndarray:
        """The picture of codes, uint8 (size, size)."""

    async def log_likelihood(self, codes: Sequence[int]) -> float:
        """The mean logarithm of the probability of codes behind the prompt of a report."""


@dataclass(frozen=True)
class Comparison:
    """How a picture compares with films: its `distance` from them, whether it is so far off that it is `unlike` them,
    or `doubtful` at least, and how it lies if it is a film. `remote` is farther off than any film that differs from the
    calibration's by the age of the patient, a border or a tilt.
    """

    distance: float
    unlike: bool
    doubtful: bool
    pose: Pose
    remote: bool = False


UNLIKE = Comparison(math.inf, unlike=True, doubtful=True, pose=UPRIGHT, remote=True)


@dataclass(frozen=True)
class _Variant:
    """A picture set upright as if it lay in `pose`, its codes, and the mean log-likelihood of these."""

    pose: Pose
    pixels: np.ndarray
    codes: list[int]
    log_likelihood: float


async def compare(models: OwnModels, calibration: Calibration, pixels: np.ndarray) -> Comparison:
    """Compare a picture, uint8 (size, size), with the films of the calibration. Raises what the models raise."""
    *turns, mirrored = await _variants(models, pixels, (*TURNED, MIRRORED))
    likeliest = _likeliest(turns)
    distance = await _distance(models, calibration, likeliest)
    if distance > calibration.doubt:
        inverted = _likeliest(await _variants(models, pixels, TURNED_AND_INVERTED))
        nearer = await _distance(models, calibration, inverted)
        if nearer < distance:
            likeliest, distance = inverted, nearer
    pose = likeliest.pose
    if pose == UPRIGHT and mirrored.log_likelihood - likeliest.log_likelihood > calibration.mirrored:
        pose = MIRRORED
    return Comparison(
        distance, distance > calibration.refuse, distance > calibration.doubt, pose, distance > calibration.remote
    )


def _likeliest(variants: Sequence[_Variant]) -> _Variant:
    return max(variants, key=lambda variant: variant.log_likelihood)


async def _variants(models: OwnModels, pixels: np.ndarray, poses: Sequence[Pose]) -> list[_Variant]:
    async def variant(pose: Pose) -> _Variant:
        upright = pose.undone(pixels)
        codes = await models.encode(upright)
        return _Variant(pose, upright, codes, await models.log_likelihood(codes))

    # Together: the models may make a batch of them.
    return list(await asyncio.gather(*(variant(pose) for pose in poses)))


async def _distance(models: OwnModels, calibration: Calibration, variant: _Variant) -> float:
    made = await models.decode(variant.codes)

    def measured() -> float:
        measures = Likeness.of(variant.pixels, made, variant.codes, variant.log_likelihood)
        return calibration.distance(variant.pixels, measures)

    return await asyncio.to_thread(measured)
