"""Precision and recall of made points among real ones: what lies among them, and what is covered."""

import numpy as np
import pytest

from models.evaluation.precision_recall import precision_recall


def cloud(count: int, middle: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 6)) + middle


def test_two_halves_of_one_set_cover_each_other() -> None:
    found = precision_recall(cloud(400), cloud(400, seed=1))
    assert found["precision"] > 0.6
    assert found["recall"] > 0.6
    assert found["images"] == 400


def test_what_lies_elsewhere_has_neither() -> None:
    found = precision_recall(cloud(200), cloud(200, middle=40.0, seed=1))
    assert (found["precision"], found["recall"]) == (0.0, 0.0)


def test_points_of_one_mode_are_precise_and_cover_half() -> None:
    real = np.concatenate([cloud(200), cloud(200, middle=40.0, seed=1)])
    found = precision_recall(real, cloud(400, seed=2))
    assert found["precision"] > 0.7
    assert 0.3 < found["recall"] <= 0.5


def test_points_that_are_all_alike_are_precise_and_cover_next_to_nothing() -> None:
    made = cloud(1, seed=3).repeat(200, 0) * 0.1 + 1e-6 * cloud(200, seed=4)
    found = precision_recall(cloud(200), made)
    assert found["precision"] == 1.0
    assert found["recall"] < 0.02


def test_of_the_larger_set_as_many_points_are_taken_as_the_smaller_one_has() -> None:
    assert precision_recall(cloud(500), cloud(60, seed=1))["images"] == 60
    assert precision_recall(cloud(30), cloud(60, seed=1))["images"] == 30


@pytest.mark.parametrize("size", [2, 3])
def test_so_few_points_that_they_have_no_third_neighbour_are_taken_as_they_are(size: int) -> None:
    assert precision_recall(cloud(size), cloud(size, seed=1))["images"] == size
