"""`cxr copies`: the index of the films that a bundle was trained on; and how near drawings come to them."""

from typing import Any

import numpy as np
from rich.progress import track

from models.bundle.manifest import weights_digest
from models.copies.building import build, quantiles
from models.copies.index import CopiesError, CopyIndex
from models.data.dataset import DataError, rows_of
from models.evaluation.subject import Subject


def index_of(subject: Subject) -> CopyIndex:
    """The index of the training split, with the limit that the subject's split sets. Raises DataError."""
    rows = rows_of(subject.records, "train")
    films = (subject.images[row] for row in track(rows, description="Indexing"))
    try:
        return build(films, subject.images[subject.rows], weights_digest(subject.bundle.manifest))
    except CopiesError as error:
        raise DataError(str(error)) from error


def resemblance(index: CopyIndex, drawn: np.ndarray, held_out: np.ndarray) -> dict[str, Any]:
    """Shares above the limit and quantiles of the similarity to the nearest training film, of drawings and films, both
    uint8 (N, S, S).
    """
    found = {"drawn": index.similarities(drawn), "held_out": index.similarities(held_out)}
    limit = index.config.limit
    return {
        "films": index.config.films,
        "limit": limit,
        "above_limit": {name: round(float(np.mean(values > limit)), 4) for name, values in found.items()},
        "quantiles": {name: quantiles(values) for name, values in found.items()},
    }
