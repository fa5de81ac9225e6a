"""Which part of an image a text depends on, by interventions: the codes of one region after another are replaced, and
what the text's log-probability loses by it is the region's weight (occlusion, Zeiler and Fergus 2014, on codes).
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Literal

Grid = tuple[int, int]
# Places in the image's codes, row by row from 0.
Region = tuple[int, ...]
# What stands in for the codes of a region: the code of which the image has most, those of a mid-grey image, or those
# that the language model finds likeliest there, given the codes before, other than those that are there.
Replacement = Literal["commonest", "grey", "predicted"]
REPLACEMENT: Replacement = "predicted"
# Of the image whose codes stand for nothing in particular.
GREY = 128
# Rows and columns of a region, at most: 37 prompts of one map on a grid of 16 x 16. With 2 it would be 65.
SIDE = 3


def regions(grid: Grid, side: int = SIDE) -> tuple[Region, ...]:
    """Rectangles of at most `side` x `side` codes, as even as they come out, that cover the grid without overlap, row
    by row.
    """
    rows, columns = grid
    return tuple(
        tuple(row * columns + column for row in down for column in across)
        for down in _parts(rows, side)
        for across in _parts(columns, side)
    )


def _parts(length: int, most: int) -> list[range]:
    count = -(-length // most)
    bounds = [-(-length * part // count) for part in range(count + 1)]
    return [range(*pair) for pair in itertools.pairwise(bounds)]


def commonest(codes: Sequence[int]) -> int:
    """The code of which there is most, of equals the first in the image."""
    return Counter(codes).most_common(1)[0][0]


def replaced(codes: Sequence[int], places: Sequence[int], by: Sequence[int]) -> tuple[int, ...]:
    """The codes with those at `places` taken from `by`, which are of a whole image."""
    found = list(codes)
    for place in places:
        found[place] = by[place]
    return tuple(found)


def spread(grid: Grid, covered: Sequence[Region], losses: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """The map, rows of columns: at every code the mean loss of the regions that cover it, in nats.

    Above 0 the region makes the text likelier, below 0 less likely.
    """
    rows, columns = grid
    sums, counts = [0.0] * (rows * columns), [0] * (rows * columns)
    for region, loss in zip(covered, losses, strict=True):
        for place in region:
            sums[place] += loss
            counts[place] += 1
    means = [total / max(count, 1) for total, count in zip(sums, counts, strict=True)]
    return tuple(tuple(means[row * columns : (row + 1) * columns]) for row in range(rows))
