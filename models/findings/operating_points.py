"""Where to cut a probability, and how true it is."""

from typing import Annotated, Self

import numpy as np
from pydantic import Field

from models.findings.part import Part

_WANTED = 0.95
_BINS = 10
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class OperatingPoint(Part):
    """A finding counts as there from the probability `threshold` on: with these sensitivity and specificity."""

    threshold: Share
    sensitivity: Share
    specificity: Share


class OperatingPoints(Part):
    """Three choices: the largest sensitivity + specificity - 1 (Youden 1950); of the points with a sensitivity of at
    least 0.95 the one of the highest specificity; of those with a specificity of at least 0.95 the one of the highest
    sensitivity.
    """

    youden: OperatingPoint
    sensitivity_95: OperatingPoint
    specificity_95: OperatingPoint

    @classmethod
    def from_scores(cls, probabilities: np.ndarray, truth: np.ndarray) -> Self:
        """By probabilities, float (N,), of films of which it is known, bool (N,); both answers have to occur."""
        # 1 is a threshold in any case: nothing lies above it, so that a specificity of 0.95 is always there but where
        # films of no have a probability of 1 themselves.
        thresholds = np.unique(np.append(probabilities, (0.0, 1.0)))
        yes, no = np.sort(probabilities[truth]), np.sort(probabilities[~truth])
        sensitivity = 1.0 - np.searchsorted(yes, thresholds, "left") / len(yes)
        specificity = np.searchsorted(no, thresholds, "left") / len(no)

        def best(value: np.ndarray, allowed: np.ndarray) -> OperatingPoint:
            # Where none is allowed, the one that comes closest to it.
            at = int(np.argmax(np.where(allowed, value, -1.0))) if allowed.any() else len(thresholds) - 1
            return OperatingPoint(
                threshold=float(thresholds[at]), sensitivity=float(sensitivity[at]), specificity=float(specificity[at])
            )

        return cls(
            youden=best(sensitivity + specificity, np.ones(len(thresholds), bool)),
            sensitivity_95=best(specificity, sensitivity >= _WANTED),
            specificity_95=best(sensitivity, specificity >= _WANTED),
        )


class Bin(Part):
    """Films of neighbouring probabilities: their mean probability, and the share in which the answer is yes."""

    predicted: Share
    observed: Share
    films: int = Field(gt=0)


def reliability(probabilities: np.ndarray, truth: np.ndarray) -> tuple[Bin, ...]:
    """The reliability curve: up to ten bins of as many films each, from the lowest probability to the highest."""
    parts = np.array_split(np.argsort(probabilities, kind="stable"), _BINS)
    return tuple(
        Bin(predicted=float(probabilities[part].mean()), observed=float(truth[part].mean()), films=len(part))
        for part in parts
        if len(part)
    )
