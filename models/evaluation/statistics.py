"""Scores of stated labels against known ones, with bootstrap intervals."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# Of what is true of the rows, labels or truth values, and of what was stated of them.
Score = Callable[[Sequence[Any], Sequence[Any]], float]
DRAWS = 1000


def balanced_accuracy(truth: Sequence[str], stated: Sequence[str | None]) -> float:
    """Mean recall over the classes that occur in `truth`."""
    return float(np.mean([_recall(label, truth, stated) for label in sorted(set(truth))]))


def _recall(label: str, truth: Sequence[str], stated: Sequence[str | None]) -> float:
    rows = [index for index, value in enumerate(truth) if value == label]
    return sum(stated[index] == label for index in rows) / len(rows)


def accuracy(truth: Sequence[str], stated: Sequence[str | None]) -> float:
    """Share of rows stated rightly."""
    return sum(t == s for t, s in zip(truth, stated, strict=True)) / len(truth)


def macro_f1(truth: Sequence[str], stated: Sequence[str | None]) -> float:
    """Mean F1 over the classes that occur in `truth`."""
    scores = []
    for label in sorted(set(truth)):
        hits = sum(t == label == s for t, s in zip(truth, stated, strict=True))
        wrong = sum((t == label) != (s == label) for t, s in zip(truth, stated, strict=True))
        scores.append(2 * hits / (2 * hits + wrong))
    return float(np.mean(scores))


def micro_f1(truth: Sequence[str], stated: Sequence[str | None]) -> float:
    """F1 over all classes together: below the accuracy's bound only where rows state nothing."""
    hits = sum(t == s for t, s in zip(truth, stated, strict=True))
    return 2 * hits / (len(truth) + sum(s is not None for s in stated))


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The share of pairs in which the positive value is the higher one; ties count half."""
    ordered = np.sort(negative)
    below, upto = np.searchsorted(ordered, positive, "left"), np.searchsorted(ordered, positive, "right")
    return float((below + upto).mean() / (2 * len(ordered)))


def interval(score: Score, truth: Sequence[Any], stated: Sequence[Any], draws: int = DRAWS) -> list[float]:
    """95 % bootstrap interval of `score` over resampled rows, classes kept in proportion: [low, high]."""
    rng = np.random.default_rng(0)
    groups = [[i for i, value in enumerate(truth) if value == label] for label in sorted(set(truth))]
    values = []
    for _ in range(draws):
        rows = np.concatenate([rng.choice(group, len(group)) for group in groups])
        values.append(score([truth[i] for i in rows], [stated[i] for i in rows]))
    return [round(float(value), 3) for value in np.percentile(values, (2.5, 97.5))]


def scored(score: Score, truth: Sequence[Any], stated: Sequence[Any]) -> dict[str, object]:
    """A figure with its interval and the rows behind it."""
    return {
        "value": round(score(truth, stated), 3),
        "interval": interval(score, truth, stated),
        "count": len(truth),
    }
