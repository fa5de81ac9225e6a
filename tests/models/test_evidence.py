"""Regions, replacements and the map of their losses."""

import numpy as np
import pytest

from models.evidence import commonest, regions, replaced, spread


@pytest.mark.parametrize(
    ("grid", "side", "count"), [((16, 16), 2, 64), ((16, 16), 1, 256), ((5, 7), 2, 12), ((16, 16), 3, 36)]
)
def test_regions_cover_every_code_once(grid: tuple[int, int], side: int, count: int) -> None:
    found = regions(grid, side)
    assert len(found) == count
    assert sorted(place for region in found for place in region) == list(range(grid[0] * grid[1]))


def test_a_region_is_a_square_of_neighbours() -> None:
    assert regions((4, 4), 2)[1] == (2, 3, 6, 7)


@pytest.mark.parametrize("length", range(1, 20))
@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_regions_differ_by_one_row_at_most_and_the_first_is_among_the_largest(length: int, side: int) -> None:
    sizes = [len(region) for region in regions((length, 1), side)]
    assert max(sizes) - min(sizes) <= 1
    assert sizes[0] == max(sizes) <= side


def test_only_the_codes_of_the_region_are_replaced() -> None:
    assert replaced((1, 2, 3, 4), (1, 3), (9, 8, 7, 6)) == (1, 8, 3, 6)


def test_the_commonest_code_is_the_first_of_equals() -> None:
    assert commonest([3, 5, 5, 3, 1]) == 3


def test_every_code_of_a_region_has_its_loss_and_the_mean_of_those_that_cover_it() -> None:
    assert np.allclose(spread((2, 2), [(0, 1), (2,)], [0.5, -0.25]), [[0.5, 0.5], [-0.25, 0.0]])
    assert np.allclose(spread((1, 2), [(0, 1), (1,)], [0.5, 0.25]), [[0.5, 0.375]])
