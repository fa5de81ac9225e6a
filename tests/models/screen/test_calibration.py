"""Bounds of a bundle's own films, and what lies outside of them."""

import numpy as np
import pytest

from models.screen.calibration import FEWEST, Calibration
from models.screen.likeness import Likeness

RNG = np.random.default_rng(0)
SMOOTH = np.tile(np.linspace(0, 255, 64), (64, 1)).astype(np.uint8)
FILMS = [Likeness(0.002 + 0.001 * RNG.random(), 80 + 10 * RNG.random(), 190 + RNG.integers(0, 20)) for _ in range(400)]


def test_a_perfect_reconstruction_loses_nothing_and_a_shift_of_light_shows_in_the_low_band() -> None:
    same = Likeness.of(SMOOTH, SMOOTH, [1, 2, 2, 3])
    assert (same.low_band_error, same.squared_error, same.distinct_codes) == (0.0, 0.0, 3.0)
    noise = (RNG.integers(0, 2, SMOOTH.shape) * 20).astype(np.uint8)
    fine, broad = Likeness.of(SMOOTH, SMOOTH // 2 + noise // 2, [0]), Likeness.of(SMOOTH, 255 - SMOOTH, [0])
    assert broad.low_band_error > fine.low_band_error > 0.0
    assert broad.low_band_error > 1.0


def test_a_picture_of_one_grey_value_is_measured_too() -> None:
    grey = np.full((64, 64), 90, np.uint8)
    assert np.isfinite(Likeness.of(grey, grey + 5, [7]).low_band_error)


def test_films_lie_inside_and_what_differs_in_any_measure_outside() -> None:
    calibration = Calibration.from_films(FILMS)
    assert sum(bool(calibration.outside(film)) for film in FILMS) == 0
    assert calibration.outside(Likeness(0.5, 85, 200)) == ["low_band_error"]
    assert calibration.outside(Likeness(0.0025, 900, 200)) == ["squared_error"]
    assert calibration.outside(Likeness(0.0025, 85, 5)) == ["distinct_codes"]


def test_too_few_films_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        Calibration.from_films(FILMS[: FEWEST - 1])
