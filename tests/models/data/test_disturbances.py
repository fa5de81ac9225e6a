"""Films as they come in wrongly."""

import numpy as np
import pytest
import torch

from models.data.disturbances import Captions, Disturbance, disturbed, of_films, of_strangers, windowed
from tests.support.screens import noise


def plain(count: int, **changes: np.ndarray) -> Disturbance:
    values = {
        "windows": np.tile(np.float32([0, 0, 1, 1]), (count, 1)),
        "tilts": np.zeros(count, np.float32),
        "turns": np.zeros(count, int),
        "mirrored": np.zeros(count, bool),
        "inverted": np.zeros(count, bool),
        "cut": np.zeros(count, bool),
    }
    return Disturbance(**{**values, **changes})


def grey(how: Disturbance, pictures: np.ndarray) -> np.ndarray:
    found = disturbed(torch.from_numpy(pictures), how, pictures.shape[1], black=True)
    return np.asarray(((found + 1) * 127.5).round().to(torch.uint8))


def test_nothing_leaves_a_picture_as_it_is() -> None:
    assert np.array_equal(grey(plain(3), noise()), noise())


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turns_are_anticlockwise(turns: int) -> None:
    assert np.array_equal(grey(plain(3, turns=np.full(3, turns)), noise()), np.rot90(noise(), turns, (1, 2)))


def test_a_picture_is_inverted_then_mirrored_then_turned() -> None:
    how = plain(1, mirrored=np.array([True]), inverted=np.array([True]), turns=np.array([1]))
    assert np.array_equal(grey(how, noise(1)), np.rot90((255 - noise(1))[:, :, ::-1], 1, (1, 2)))


def test_a_window_keeps_its_part_and_what_is_outside_is_black() -> None:
    lower = plain(1, windows=np.float32([[0.5, 0, 0.5, 1]]))
    rows = grey(lower, noise(1))[0]
    assert np.abs(rows[[0, -1]].astype(int) - noise(1)[0][[32, -1]]).mean() < 30
    assert rows.mean() > noise(1)[0].mean() + 15
    above = grey(plain(1, windows=np.float32([[-0.5, 0, 1, 1]])), noise(1))[0]
    assert above[:30].max() == 0


def test_cut_films_lack_a_quarter_of_a_side_and_others_a_tenth_at_most() -> None:
    how = of_films(400, np.random.default_rng(0))
    top, left, height, width = how.windows.T
    missing = np.max([top, left, 1 - top - height, 1 - left - width], 0)
    assert missing[how.cut].min() > 0.25
    assert missing[~how.cut].max() < 0.2
    assert 0.1 < how.cut.mean() < 0.2


def test_parts_of_strangers_have_the_side_that_is_asked_for() -> None:
    how = of_strangers(np.repeat([0.4, 0.9], 100), np.random.default_rng(0))
    assert how.windows[:100, 2:].min() >= 0.4
    assert how.windows[100:, 2:].min() >= 0.9


def test_windows_and_captions_stay_between_black_and_white() -> None:
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(noise(16) / 127.5 - 1).float()
    found = Captions(64).burn(windowed(pixels, rng), rng)
    assert found.shape == pixels.shape
    assert found.min() >= -1
    assert found.max() <= 1
    assert not torch.equal(found, pixels)
