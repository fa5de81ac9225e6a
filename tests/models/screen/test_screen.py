"""The screen's looks: probabilities, and the views that they are means of."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models.screen import Look, Screen, ScreenConfig
from models.screen.network import shrink
from models.screen.screen import _ALL
from tests.support.screens import noise, tiny_screen


def test_a_look_holds_probabilities() -> None:
    for look in tiny_screen().look(noise()):
        kinds = (look.frontal, look.lateral, look.other_radiograph, look.not_a_radiograph)
        turns = (look.upright, look.turned_90, look.turned_180, look.turned_270)
        assert math.isclose(sum(kinds), 1, abs_tol=1e-5)
        assert math.isclose(sum(turns), 1, abs_tol=1e-5)
        assert all(0 <= flag <= 1 for flag in (look.mirrored, look.inverted_grey, look.cut))


def test_no_pictures_give_no_looks() -> None:
    assert tiny_screen().look(np.zeros((0, 64, 64), np.uint8)) == []


def test_it_is_read_back_as_it_was_written_but_for_half_precision(tmp_path: Path) -> None:
    screen, pictures = tiny_screen(), noise()
    screen.save(tmp_path)
    read = Screen.load(tmp_path)
    assert read.config == screen.config
    for one, other in zip(read.look(pictures), screen.look(pictures), strict=True):
        assert math.isclose(one.frontal, other.frontal, abs_tol=0.01)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_a_picture_turns_what_is_said_of_it(turns: int) -> None:
    # Means over all sixteen views are the same for every turn of a picture, but for their names.
    screen, pictures = tiny_screen(), noise(1)
    upright, turned = (
        screen._mean(shrink(torch.from_numpy(one.copy()), 32), _ALL)[0].detach()
        for one in (pictures, np.rot90(pictures, turns, (1, 2)))
    )
    assert torch.allclose(upright[:4], turned[:4], atol=1e-5)
    assert torch.allclose(upright[4:8].roll(turns), turned[4:8], atol=1e-5)


def test_mirroring_and_inverting_turn_their_flags_round() -> None:
    screen, pictures = tiny_screen(), noise(1)
    plain, mirrored, inverted = (
        screen._mean(shrink(torch.from_numpy(one.copy()), 32), _ALL)[0].tolist()
        for one in (pictures, pictures[:, :, ::-1], 255 - pictures)
    )
    assert plain[8] == pytest.approx(1 - mirrored[8], abs=1e-5)
    assert plain[5] == pytest.approx(mirrored[7], abs=1e-5)
    assert plain[9] == pytest.approx(1 - inverted[9], abs=1e-5)
    assert plain[0] == pytest.approx(inverted[0], abs=1e-5)


def test_the_likeliest_kind_and_turn_are_named() -> None:
    look = Look(0.1, 0.6, 0.2, 0.1, 0.1, 0.2, 0.1, 0.6, 0.5, 0.5, 0.5)
    assert (look.kind, look.turn, look.turned) == ("lateral", 270, 0.9)


@pytest.mark.parametrize(("side", "channels", "last"), [(96, (16, 32, 64, 112), 6), (32, (8, 16), 8), (33, (8, 16), 9)])
def test_the_last_maps_have_the_side_that_the_configuration_says(
    side: int, channels: tuple[int, ...], last: int
) -> None:
    assert ScreenConfig(side=side, channels=channels).last_side == last


def test_the_default_network_weighs_less_than_a_megabyte_in_half_precision(tmp_path: Path) -> None:
    from models.screen.network import ScreenNetwork

    config = ScreenConfig()
    Screen(ScreenNetwork(config), config).save(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < 1_000_000
