"""Pictures that hold nothing to read."""

import numpy as np
import pytest

from models.screen.statistics import BLACK, SATURATED, SMOOTH, STENCIL, UNIFORM, unreadable
from tests.support.screens import noise

_SIDE = 64
_SLOPE = np.tile(np.linspace(20, 220, _SIDE), (_SIDE, 1))
_STENCIL = np.full((_SIDE, _SIDE), 30)
_STENCIL[10:40, 20:50] = 210


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((_SIDE, _SIDE)), BLACK),
        (np.full((_SIDE, _SIDE), 255), SATURATED),
        (np.full((_SIDE, _SIDE), 128), UNIFORM),
        (128 + np.random.default_rng(0).integers(-2, 3, (_SIDE, _SIDE)), UNIFORM),
        (_STENCIL, STENCIL),
        (np.where(np.random.default_rng(0).random((_SIDE, _SIDE)) < 0.5, 0, 255), STENCIL),
        (np.tile(np.linspace(20, 220, 512), (512, 1)).round(), SMOOTH),
    ],
)
def test_what_cannot_be_read_is_named(picture: np.ndarray, reason: str) -> None:
    assert unreadable(picture.astype(np.uint8)[None]) == [reason]


def test_a_picture_with_grain_and_many_greys_passes() -> None:
    assert unreadable(noise()) == [None] * 3
