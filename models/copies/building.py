"""Builds an index of training films, with the limit that held-out films set."""

from collections.abc import Iterable
from statistics import NormalDist

import numpy as np

from models.copies.config import CopiesConfig
from models.copies.features import Window, grey_cells
from models.copies.index import CopiesError, CopyIndex, Projection, quantised

# Fewer held-out films say nothing about one in 1,000.
FEWEST = 50
# docs/training.md has what other numbers find. With it 5,000 films take 0.7 MB.
DIMENSIONS = 128
RATE = 0.001
_SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
_UPPER = 0.9


def build(
    films: Iterable[np.ndarray], held_out: np.ndarray, weights_sha256: str, dimensions: int = DIMENSIONS
) -> CopyIndex:
    """An index of films, uint8 (S, S) each, whose rows are in their order; `held_out` are uint8 (N, S, S).

    Raises CopiesError for too few of them.
    """
    if len(held_out) < FEWEST:
        raise CopiesError(f"{len(held_out)} held-out films are too few: a limit needs {FEWEST}")
    whole = [Window()]
    cells = np.concatenate([np.empty((0, 256), np.float32), *(grey_cells(np.asarray(film), whole) for film in films)])
    if len(cells) < 2:
        raise CopiesError("an index needs two films or more")
    projection = Projection.fit(cells, dimensions)
    config = CopiesConfig(
        weights_sha256=weights_sha256,
        films=len(cells),
        dimensions=dimensions,
        limit=1.0,
        held_out_films=len(held_out),
        held_out={},
    )
    index = CopyIndex(config, projection, quantised(projection.unit(cells)))
    similarities = index.similarities(held_out)
    measured = {"limit": exceeded_by(similarities, RATE), "held_out": quantiles(similarities)}
    return CopyIndex(config.model_copy(update=measured), projection, index.rows)


def exceeded_by(similarities: np.ndarray, rate: float) -> float:
    """The similarity that a share `rate` of such films exceeds, by the normal distribution through their median and
    their upper tenth.

    A few hundred films say little about one in 1,000 by themselves. The same film under another name, which
    collections hold, lies above the tenth and moves nothing.
    """
    middle, upper = np.quantile(similarities, (0.5, _UPPER))
    normal = NormalDist()
    found = middle + (upper - middle) / normal.inv_cdf(_UPPER) * normal.inv_cdf(1 - rate)
    return round(min(float(found), 1.0), 4)


def quantiles(similarities: np.ndarray) -> dict[str, float]:
    """Quantiles of similarities by their share."""
    return {str(share): round(float(np.quantile(similarities, share)), 4) for share in _SHARES}
