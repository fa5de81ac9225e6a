"""`findings.json` of a bundle: what makes its probabilities of findings true ones, and where to cut them."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field

from models.findings.operating_points import Bin, OperatingPoints, reliability
from models.findings.part import Part
from models.findings.spec import FindingSpec

FINDINGS_FILE = "findings.json"
# Of each answer: with fewer films the curve is chance.
FEWEST = 20
_FOLDS = 5
_STEPS = 100
# Beyond these log-odds no probability changes.
_MOST = 50.0
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class FindingCalibration(Part):
    """Platt's scaling (1999) of one finding: P(yes) = 1 / (1 + exp(-(slope * log-odds + intercept))), where the
    log-odds are those of the model's two answers; fitted on `positive` and `negative` films for this question and these
    answers.

    `reliability` is of probabilities that were fitted without the films that they are of.
    """

    question: str
    yes: str
    no: str
    slope: float = Field(ge=0.0)
    intercept: float
    positive: int = Field(gt=0)
    negative: int = Field(gt=0)
    operating_points: OperatingPoints
    reliability: tuple[Bin, ...]

    @classmethod
    def from_scores(cls, spec: FindingSpec, log_odds: np.ndarray, truth: np.ndarray) -> Self:
        """Fit log-odds, float (N,), to what is true of the films, bool (N,). Raises ValueError for too few."""
        positive, negative = int(truth.sum()), int((~truth).sum())
        if min(positive, negative) < FEWEST:
            raise ValueError(f"{positive} films with yes and {negative} with no: {FEWEST} of each are needed")
        slope, intercept = platt(log_odds, truth)
        held_out = np.zeros(len(truth))
        folds = _folds(truth)
        for fold in range(_FOLDS):
            part = folds == fold
            held_out[part] = scaled(log_odds[part], *platt(log_odds[~part], truth[~part]))
        return cls(
            question=spec.question,
            yes=spec.yes,
            no=spec.no,
            slope=slope,
            intercept=intercept,
            positive=positive,
            negative=negative,
            operating_points=OperatingPoints.from_scores(scaled(log_odds, slope, intercept), truth),
            reliability=reliability(held_out, truth),
        )

    def probability(self, log_odds: float) -> float:
        """The calibrated probability of yes."""
        return float(scaled(np.array([log_odds]), self.slope, self.intercept)[0])

    def is_of(self, spec: FindingSpec) -> bool:
        """Whether it was fitted for the finding's question and answers."""
        return (self.question, self.yes, self.no) == (spec.question, spec.yes, spec.no)


class FindingsCalibration(Part):
    """The calibration by finding, of the models with these weights, by their digest."""

    format: Literal[1] = 1
    weights_sha256: str
    split: str
    findings: dict[str, FindingCalibration]

    def check(self, findings: Sequence[FindingSpec], weights_sha256: str) -> None:
        """Raises ValueError where it is of other weights, or of a finding that is asked or answered otherwise."""
        if self.weights_sha256 != weights_sha256:
            raise ValueError("is of other weights than the bundle's")
        declared = {spec.name: spec for spec in findings}
        for name, calibration in self.findings.items():
            if name not in declared or not calibration.is_of(declared[name]):
                raise ValueError(f"has {name!r} otherwise than the bundle declares it")


def scaled(log_odds: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Probabilities of log-odds, float64 (N,)."""
    values = slope * np.clip(log_odds, -_MOST, _MOST) + intercept
    found: np.ndarray = 0.5 * (1.0 + np.tanh(0.5 * values))
    return found


def platt(log_odds: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the likeliest sigmoid, by Newton's method with halved steps (Lin, Lin and Weng 2007).

    Its targets are Platt's (1999): (N+ + 1) / (N+ + 2) and 1 / (N- + 2), so that separable films do not make it steep
    without end. A slope below 0, by which the model would be wrong more often than right, is 0: the share of yes alone.
    """
    positive, negative = int(truth.sum()), int((~truth).sum())
    target = np.where(truth, (positive + 1) / (positive + 2), 1 / (negative + 2))
    values = np.clip(log_odds, -_MOST, _MOST)
    design = np.stack([values, np.ones(len(values))], 1)
    found = np.array([0.0, math.log((positive + 1) / (negative + 1))])
    for _ in range(_STEPS):
        probability = scaled(values, *found)
        gradient = design.T @ (probability - target)
        if np.abs(gradient).max() < 1e-9 * len(values):
            break
        weight = probability * (1.0 - probability)
        step = np.linalg.solve(design.T @ (design * weight[:, None]) + 1e-12 * np.eye(2), gradient)
        rate = 1.0
        while rate > 1e-10 and _loss(design @ (found - rate * step), target) > _loss(design @ found, target):
            rate /= 2.0
        found = found - rate * step
    if found[0] < 0.0:
        mean = float(target.mean())
        return 0.0, math.log(mean / (1.0 - mean))
    return float(found[0]), float(found[1])


def _loss(values: np.ndarray, target: np.ndarray) -> float:
    """The cross-entropy of targets under log-odds, in nats."""
    return float((np.logaddexp(0.0, values) - target * values).sum())


def _folds(truth: np.ndarray) -> np.ndarray:
    """A fold for every film, with the same share of yes in each: int64 (N,)."""
    folds = np.zeros(len(truth), np.int64)
    for value in (True, False):
        rows = np.flatnonzero(truth == value)
        folds[rows] = np.random.default_rng(0).permutation(len(rows)) % _FOLDS
    return folds
