"""Do drawings lie among real films, and do they cover them? Precision and recall on features."""

from typing import Any

import numpy as np
import torch

from models.features import load_features
from models.vqgan.pixels import to_pixels

_BATCH = 32
NEIGHBOURS = 3


def features_of(images: np.ndarray, reference: str) -> np.ndarray:
    """Features of images uint8 (N, H, W) by the network of `reference`: float64 (N, D). Raises FeatureError."""
    network = load_features(reference)
    with torch.inference_mode():
        parts = [network(to_pixels(images[at : at + _BATCH], 1)).float() for at in range(0, len(images), _BATCH)]
    return torch.cat(parts).numpy().astype(np.float64)


def precision_recall(real: np.ndarray, made: np.ndarray, neighbours: int = NEIGHBOURS, seed: int = 0) -> dict[str, Any]:
    """Improved precision and recall (Kynkaanniemi et al. 2019) of features (N, D) and (M, D).

    A set covers what lies no farther from one of its points than that point's k-th nearest neighbour in the set.
    Precision is the share of made points that the real set covers, recall that of real points that the made one
    covers. Both depend on the number of points, so that of the larger set as many are taken as the smaller one has.
    """
    rng, size = np.random.default_rng(seed), min(len(real), len(made))
    real, made = (points[rng.permutation(len(points))[:size]] for points in (real, made))
    nearest = min(neighbours, size - 1)
    between = _distances(made, real)
    return {
        "precision": round(float((between <= _radii(real, nearest)[None, :]).any(1).mean()), 3),
        "recall": round(float((between <= _radii(made, nearest)[:, None]).any(0).mean()), 3),
        "images": size,
    }


def _radii(points: np.ndarray, neighbours: int) -> np.ndarray:
    """Distance of each point to its k-th nearest other one: (N,)."""
    # The nearest one of all is the point itself.
    return np.sort(_distances(points, points), 1)[:, neighbours]


def _distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Euclidean distances, (N, M)."""
    squares = (points**2).sum(1)[:, None] + (others**2).sum(1)[None] - 2.0 * points @ others.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))
