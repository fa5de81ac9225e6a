"""Variations of radiographs stay near them, and an image that is not varied stays as it is."""

import numpy as np
import torch

from models.data.variations import random_variations, vary

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 32, 32)).astype(np.uint8))


def test_the_whole_image_without_a_change_is_the_image() -> None:
    same = np.tile(np.array([1, 0, 0, 1, 0], np.float32), (3, 1))
    assert torch.equal(vary(IMAGES, same), IMAGES)


def test_a_crop_shows_its_part_of_the_image_enlarged() -> None:
    quarters = torch.zeros((1, 32, 32), dtype=torch.uint8)
    quarters[:, 16:, 16:] = 200
    right_below = np.array([[0.5, 0.5, 0.5, 1, 0]], np.float32)
    assert (vary(quarters, right_below)[:, 6:, 6:] == 200).all()
    left_above = np.array([[0.5, 0, 0, 1, 0]], np.float32)
    assert (vary(quarters, left_above)[:, :-6, :-6] == 0).all()


def test_brightness_and_contrast_are_clipped_to_grey_levels() -> None:
    brighter = np.tile(np.array([1, 0, 0, 1, 300], np.float32), (3, 1))
    assert (vary(IMAGES, brighter) == 255).all()


def test_variations_keep_most_of_the_image_and_lie_inside_it() -> None:
    kept, left, top, contrast, brightness = random_variations(500, np.random.default_rng(1)).T
    assert kept.min() >= 0.86
    assert ((left >= 0) & (left + kept <= 1.0001) & (top >= 0) & (top + kept <= 1.0001)).all()
    assert abs(contrast - 1).max() <= 0.121
    assert abs(brightness).max() <= 10
