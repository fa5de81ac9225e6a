"""The deletion test of maps (Petsiuk et al. 2018): regions are removed in the order of their weights, and a map is the
better the faster the text becomes unlikely.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from models.evaluation.statistics import DRAWS
from models.evidence import Grid, Region

# Shares of the regions that are removed where the curve is measured.
_POINTS = 8


def orders(
    grid: Grid, covered: Sequence[Region], weights: Sequence[float], seed: int, draws: int
) -> dict[str, list[np.ndarray]]:
    """Orders of the regions, the first one to be removed first: by `map`, the nearest to the `centre` first, and
    `draws` of `random`.
    """
    chance, columns = np.random.default_rng(seed), grid[1]
    middle = np.array([(grid[0] - 1) / 2, (grid[1] - 1) / 2])
    centres = np.array([np.mean([divmod(place, columns) for place in region], axis=0) for region in covered])
    away = np.linalg.norm(centres - middle, axis=1)
    return {
        "map": [np.argsort(-np.asarray(weights), kind="stable")],
        "centre": [np.argsort(away, kind="stable")],
        "random": [chance.permutation(len(covered)) for _ in range(draws)],
    }


def removed(
    order: Sequence[int] | np.ndarray, covered: Sequence[Region], codes: Sequence[int], by: Sequence[int]
) -> list[list[int]]:
    """The image with more and more of the regions replaced, from none to all."""
    found = []
    for share in np.linspace(0.0, 1.0, _POINTS + 1):
        image = list(codes)
        for region in order[: round(share * len(covered))]:
            for place in covered[region]:
                image[place] = by[place]
        found.append(image)
    return found


def area(values: np.ndarray) -> float:
    """The area under a curve over the share that is removed, by trapezes: its mean height."""
    return float(np.trapezoid(values, dx=1.0 / (len(values) - 1)))


def compared(areas: Mapping[str, Sequence[float]]) -> dict[str, object]:
    """Mean areas by order, one value a film each, and how much more random order and the centre have than the map:
    paired by film, with 95 % bootstrap intervals over films.
    """
    own = np.array(areas["map"])
    found: dict[str, object] = {"films": len(own)}
    found["area"] = {name: round(float(np.mean(values)), 4) for name, values in areas.items()}
    for other in ("random", "centre"):
        differences = np.array(areas[other]) - own
        rows = np.random.default_rng(0).integers(0, len(own), (DRAWS, len(own)))
        low, high = np.percentile(differences[rows].mean(1), (2.5, 97.5))
        found[f"{other}_minus_map"] = {
            "value": round(float(differences.mean()), 4),
            "interval": [round(float(low), 4), round(float(high), 4)],
            "count": len(own),
        }
    return found
