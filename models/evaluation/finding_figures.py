"""Probabilities of findings against what is known of the films: how well they tell, and how true they are."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchmetrics.functional.classification import binary_average_precision, binary_calibration_error

from models.conditions import BACTERIAL, VIRAL
from models.data.dataset import DataError
from models.evaluation.findings import known_films, log_odds
from models.evaluation.plots import as_image, check_matplotlib, new_figure
from models.evaluation.statistics import auroc, scored
from models.evaluation.subject import Subject
from models.findings.calibration import FindingCalibration
from models.findings.operating_points import OperatingPoints, reliability
from models.findings.spec import FindingSpec
from models.findings.yes_no import probability_of_yes

_BINS = 10


def area_under_roc(truth: Sequence[bool], values: Sequence[float]) -> float:
    """Of values, one a film, by which those that have the finding are to stand above the others."""
    there, found = np.asarray(truth), np.asarray(values)
    return auroc(found[there], found[~there])


def area_under_precision_recall(truth: Sequence[bool], values: Sequence[float]) -> float:
    """Average precision."""
    return float(binary_average_precision(torch.tensor(values), torch.tensor(truth, dtype=torch.long)))


def brier(truth: Sequence[bool], values: Sequence[float]) -> float:
    """Mean squared difference of probability and truth (Brier 1950)."""
    return float(((np.asarray(values) - np.asarray(truth)) ** 2).mean())


def calibration_error(truth: Sequence[bool], values: Sequence[float]) -> float:
    """Expected calibration error over ten bins of the same width (Naeini et al. 2015)."""
    target = torch.tensor(truth, dtype=torch.long)
    return float(binary_calibration_error(torch.tensor(values), target, n_bins=_BINS, norm="l1"))


_FIGURES = {
    "auroc": area_under_roc,
    "auprc": area_under_precision_recall,
    "brier": brier,
    "ece": calibration_error,
}


def figures_of(truth: np.ndarray, probabilities: np.ndarray, points: OperatingPoints | None) -> dict[str, Any]:
    """Figures with their intervals of films, bool (N,), and probabilities, float (N,); both answers have to occur."""
    there, found = truth.tolist(), probabilities.tolist()
    figures: dict[str, Any] = {name: scored(score, there, found) for name, score in _FIGURES.items()}
    figures["reliability"] = [one.model_dump() for one in reliability(probabilities, truth)]
    for name, point in (points.model_dump() if points else {}).items():
        above = (probabilities >= point["threshold"]).tolist()
        figures[name] = {
            "threshold": point["threshold"],
            "sensitivity": scored(_share(True), there, above),
            "specificity": scored(_share(False), there, above),
        }
    return figures


def probabilities_of(log_odds: np.ndarray, calibration: FindingCalibration | None) -> np.ndarray:
    """As the service says them, from the log-odds of the two answers: float64 (N,)."""
    if calibration is None:
        return np.array([probability_of_yes(value, 0.0) for value in log_odds.tolist()])
    return np.array([calibration.probability(value) for value in log_odds.tolist()])


def _share(answer: bool) -> Any:
    """The share of the films with an answer that are given it."""

    def share(truth: Sequence[bool], stated: Sequence[bool]) -> float:
        rows = np.asarray(truth) == answer
        return float((np.asarray(stated)[rows] == answer).mean())

    return share


def _figures(subject: Subject, spec: FindingSpec, calibration: FindingCalibration | None) -> dict[str, Any] | None:
    """Figures of a finding, None where the split does not hold both answers."""
    known = known_films(subject, spec)
    rows, truth = [row for row, _ in known], np.array([there for _, there in known], bool)
    if truth.all() or not truth.any():
        return None
    odds = log_odds(subject, spec, rows)
    points = None if calibration is None else calibration.operating_points
    found = {
        "question": spec.question,
        "calibrated": calibration is not None,
        "positive": int(truth.sum()),
        "negative": int((~truth).sum()),
        **figures_of(truth, probabilities_of(odds, calibration), points),
    }
    kinds = np.array([subject.record(row).condition in (BACTERIAL, VIRAL) for row in rows])
    if spec.name in (BACTERIAL, VIRAL) and truth[kinds].any() and not truth[kinds].all():
        found["auroc_bacterial_or_viral"] = scored(area_under_roc, truth[kinds].tolist(), odds[kinds].tolist())
    return found


def evaluate_findings(subject: Subject) -> tuple[dict[str, Any], Image.Image]:
    """Figures by finding on the split's frontal films, and the reliability plot. Raises DataError for a bundle without
    findings, or a split of which nothing is known.
    """
    check_matplotlib()
    specs = subject.bundle.manifest.findings
    if not specs:
        raise DataError(f"{subject.bundle.manifest.label} declares no findings")
    calibrations = subject.bundle.findings_calibration
    by_name = {} if calibrations is None else calibrations.findings
    found = {spec.name: _figures(subject, spec, by_name.get(spec.name)) for spec in specs}
    known = {name: figures for name, figures in found.items() if figures is not None}
    if not known:
        raise DataError(f"the split {subject.split} does not hold both answers to any finding")
    return {**subject.about(), "findings": known, "not_measured": sorted(set(found) - set(known))}, plot(known)


def plot(by_finding: dict[str, dict[str, Any]]) -> Image.Image:
    """The share of films that have the finding over the probability that was said, by finding."""
    figure = new_figure(5.4, 5.0)
    axes = figure.subplots()
    axes.plot((0.0, 1.0), (0.0, 1.0), color="0.6", linestyle=":", linewidth=1)
    for name, figures in by_finding.items():
        bins = figures["reliability"]
        label = f"{name}, error {figures['ece']['value']:.3f}"
        axes.plot([one["predicted"] for one in bins], [one["observed"] for one in bins], marker="o", label=label)
    axes.set_xlabel("probability, mean of a tenth of the films")
    axes.set_ylabel("films that have the finding")
    axes.legend()
    return as_image(figure)
