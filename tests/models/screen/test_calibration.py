"""What is usual of a bundle's own films, and what lies far from it."""

from dataclasses import replace

import numpy as np
import pytest

from models.screen.calibration import FEWEST, Calibration
from models.screen.likeness import Likeness

RNG = np.random.default_rng(0)
SMOOTH = np.tile(np.linspace(0, 255, 64), (64, 1)).astype(np.uint8)
COUNT = 400
# Dark on both sides of the middle, like lungs; no two alike.
LUNGS = 120 + 90 * np.cos(np.linspace(0, 4 * np.pi, 64))
FILMS = np.stack(
    [
        np.clip(
            LUNGS + 20 * RNG.standard_normal((64, 1)) * np.linspace(0, 1, 64) + 5 * RNG.standard_normal((64, 64)),
            0,
            255,
        )
        for _ in range(COUNT)
    ]
).astype(np.uint8)
LIKENESSES = [
    Likeness(
        0.002 + 0.001 * RNG.random(), 80 + 10 * RNG.random(), float(190 + RNG.integers(0, 20)), -5.0 - RNG.random()
    )
    for _ in range(COUNT)
]
MIRRORED = [film.log_likelihood - 0.3 + 0.4 * RNG.random() for film in LIKENESSES]
CALIBRATION = Calibration.from_films(FILMS, LIKENESSES, MIRRORED, "0" * 64)
USUAL = Likeness(0.0025, 85.0, 200.0, -5.5)


def test_a_perfect_reconstruction_loses_nothing_and_a_shift_of_light_shows_in_the_low_band() -> None:
    same = Likeness.of(SMOOTH, SMOOTH, [1, 2, 2, 3], -4.0)
    assert same == Likeness(0.0, 0.0, 3.0, -4.0)
    noise = (RNG.integers(0, 2, SMOOTH.shape) * 20).astype(np.uint8)
    fine = Likeness.of(SMOOTH, SMOOTH // 2 + noise // 2, [0], -4.0)
    broad = Likeness.of(SMOOTH, 255 - SMOOTH, [0], -4.0)
    assert broad.low_band_error > fine.low_band_error > 0.0
    assert broad.low_band_error > 1.0


def test_a_picture_of_one_grey_value_is_measured_too() -> None:
    grey = np.full((64, 64), 90, np.uint8)
    likeness = Likeness.of(grey, grey + 5, [7], -4.0)
    assert np.isfinite(CALIBRATION.distance(grey, likeness))


def test_at_most_one_film_in_a_hundred_is_doubted_and_fewer_are_refused() -> None:
    distances = np.array([CALIBRATION.distance(film, seen) for film, seen in zip(FILMS, LIKENESSES, strict=True)])
    assert (distances > CALIBRATION.doubt).mean() <= 0.02
    assert (distances > CALIBRATION.refuse).mean() <= 0.01


@pytest.mark.parametrize(
    "other",
    [
        {"low_band_error": 0.5},
        {"squared_error": 900.0},
        {"distinct_codes": 5.0},
        {"log_likelihood": -12.0},
        {"log_likelihood": -1.0},
    ],
)
def test_what_differs_in_any_measure_is_far_from_the_films(other: dict[str, float]) -> None:
    assert CALIBRATION.distance(FILMS[0], USUAL) < CALIBRATION.doubt
    assert CALIBRATION.distance(FILMS[0], replace(USUAL, **other)) > CALIBRATION.refuse


@pytest.mark.parametrize("lying", [np.rot90(FILMS[0]), 255 - FILMS[0], SMOOTH], ids=["turned", "inverted", "slope"])
def test_what_is_light_elsewhere_is_far_from_the_films(lying: np.ndarray) -> None:
    assert CALIBRATION.distance(lying, USUAL) > CALIBRATION.refuse


def test_the_mirror_image_of_one_film_in_twenty_is_likelier_than_the_bound() -> None:
    more = [
        mirror - film.log_likelihood > CALIBRATION.mirrored for mirror, film in zip(MIRRORED, LIKENESSES, strict=True)
    ]
    assert 0.03 <= np.mean(more) <= 0.06


def test_it_is_read_back_as_it_was_written() -> None:
    again = Calibration.model_validate_json(CALIBRATION.model_dump_json())
    assert again.distance(FILMS[1], USUAL) == CALIBRATION.distance(FILMS[1], USUAL)


def test_too_few_films_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        Calibration.from_films(FILMS[: FEWEST - 1], LIKENESSES[: FEWEST - 1], MIRRORED[: FEWEST - 1], "")
