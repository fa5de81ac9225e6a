"""Fog, sameness and blur have measures that no classifier is needed for."""

import numpy as np
import pytest

from models.data.structure import averaged, spectrum, spread, structure

RIBS = np.tile(np.where(np.arange(256) // 8 % 2, 170, 80).astype(np.uint8), (4, 256, 1))


def test_fog_has_the_less_structure_the_thicker_it_is() -> None:
    fog = (RIBS * 0.3 + 100).astype(np.uint8)
    assert structure(fog).mean() == pytest.approx(0.3 * structure(RIBS).mean(), rel=0.05)


def test_images_that_are_all_alike_have_no_spread() -> None:
    assert spread(RIBS) == 0.0
    assert spread(np.stack([RIBS[0], RIBS[0] + 40])) == pytest.approx(20.0)


def test_blur_takes_power_from_the_upper_bands_alone() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 255, (2, 128, 128)).astype(np.uint8)
    blurred = np.repeat(np.repeat(averaged(sharp, 32), 4, 1), 4, 2)
    kept = spectrum(blurred).mean(0) / spectrum(sharp).mean(0)
    assert kept[0] > 0.7
    assert kept[3] < 0.1


def test_small_images_are_not_averaged() -> None:
    assert averaged(RIBS[:, :32, :32]).shape == (4, 32, 32)
