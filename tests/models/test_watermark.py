"""The watermark: half of the codes at every place, found by its key alone, by an exact p-value."""

import math

import numpy as np
import pytest

from models.watermark import Watermark, green_codes

SIZE, PLACES = 1024, 256
KEY = b"a key of sixteen and more"


def marked(strength: float, key: bytes = KEY, seed: int = 0) -> np.ndarray:
    """Codes drawn from random logits to which the mark was added: (PLACES,)."""
    rng = np.random.default_rng(seed)
    logits = 2.0 * rng.standard_normal((PLACES, SIZE)) + Watermark(key, strength).bias(range(PLACES), SIZE)
    return (logits + rng.gumbel(size=logits.shape)).argmax(1)


def test_lists_are_the_same_wherever_they_are_made() -> None:
    # A picture that was marked once has to be found for years, by other releases and machines.
    green = "1 2 4 5 7 12 14 16 17 19 20 21 22 27 29 30 33 36 37 38 40 41 43 44 45 46 48 49 53 56 57 59"
    assert np.flatnonzero(green_codes(b"0123456789abcdef", 7, 64)).tolist() == [int(one) for one in green.split()]


def test_half_of_the_codes_are_green_and_other_ones_at_each_place_and_for_each_key() -> None:
    lists = np.stack([green_codes(key, place, SIZE) for key in (KEY, b"another key") for place in range(PLACES)])
    assert abs(lists.mean() - 0.5) < 4 * 0.5 / math.sqrt(lists.size)
    alike = (lists[:-1] == lists[1:]).mean(1)
    assert np.abs(alike - 0.5).max() < 5 * 0.5 / math.sqrt(SIZE)


def test_a_codebook_that_is_no_multiple_of_eight_has_a_bit_for_each_code() -> None:
    assert green_codes(KEY, 0, 1001).shape == (1001,)


@pytest.mark.parametrize("strength", [1.0, 2.0])
def test_the_mark_is_found_by_its_key_and_by_no_other(strength: float) -> None:
    for seed in range(20):
        codes = marked(strength, seed=seed)
        assert Watermark(KEY, 0.0).detect(codes, SIZE).p_value < 1e-6
        assert Watermark(b"another key", strength).detect(codes, SIZE).p_value > 1e-5


def test_p_values_without_the_mark_are_those_of_chance() -> None:
    codes = marked(0.0)
    found = np.array([Watermark(number.to_bytes(16, "big"), 1.0).detect(codes, SIZE).p_value for number in range(2000)])
    for level in (0.5, 0.1, 0.01):
        assert (found <= level).mean() <= level + 3 * math.sqrt(level / len(found))
    assert (found <= 0.1).mean() > 0.06


def test_the_p_value_is_the_binomial_tail() -> None:
    green = [int(np.flatnonzero(green_codes(KEY, place, SIZE))[0]) for place in range(8)]
    red = [int(np.flatnonzero(~green_codes(KEY, place, SIZE))[0]) for place in range(8)]
    mark = Watermark(KEY, 1.0)
    assert mark.detect(green, SIZE).p_value == 2**-8
    assert mark.detect(red, SIZE).p_value == 1.0
    assert mark.detect([*green[:7], red[7]], SIZE).p_value == (1 + 8) * 2**-8


def test_a_picture_half_of_whose_codes_were_lost_is_found_nevertheless() -> None:
    codes = marked(2.0)
    lost = np.random.default_rng(1).random(PLACES) < 0.5
    codes[lost] = np.random.default_rng(2).integers(0, SIZE, int(lost.sum()))
    assert Watermark(KEY, 1.0).detect(codes, SIZE).p_value < 1e-3


def test_the_bias_is_the_strength_at_green_codes_and_nothing_elsewhere() -> None:
    bias = Watermark(KEY, 1.5).bias([3, 200], SIZE)
    assert (bias.shape, bias.dtype) == ((2, SIZE), np.float32)
    for row, place in zip(bias, (3, 200), strict=True):
        green = green_codes(KEY, place, SIZE)
        assert (row[green] == 1.5).all()
        assert (row[~green] == 0.0).all()
