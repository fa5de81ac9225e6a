"""Figures of findings: known scores of made-up probabilities, and the command on the embedded bundle's models."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from app.cli import app
from models.data.dataset import DataError
from models.evaluation.finding_figures import (
    area_under_precision_recall,
    area_under_roc,
    brier,
    calibration_error,
    evaluate_findings,
    figures_of,
)
from models.evaluation.subject import Subject
from models.findings.operating_points import OperatingPoint, OperatingPoints
from tests.support.findings import with_findings, without_findings
from tests.support.training import write_data

TRUTH = [True, True, False, False]


@pytest.mark.parametrize(
    ("values", "roc", "precision", "squared", "error"),
    [
        ([1.0, 1.0, 0.0, 0.0], 1.0, 1.0, 0.0, 0.0),
        ([0.0, 0.0, 1.0, 1.0], 0.0, 0.5, 1.0, 1.0),
        ([0.5, 0.5, 0.5, 0.5], 0.5, 0.5, 0.25, 0.0),
        ([0.9, 0.4, 0.6, 0.1], 0.75, 0.8333, 0.185, 0.35),
    ],
)
def test_scores_of_known_probabilities(
    values: list[float], roc: float, precision: float, squared: float, error: float
) -> None:
    assert area_under_roc(TRUTH, values) == pytest.approx(roc)
    assert area_under_precision_recall(TRUTH, values) == pytest.approx(precision, abs=1e-4)
    assert brier(TRUTH, values) == pytest.approx(squared)
    assert calibration_error(TRUTH, values) == pytest.approx(error, abs=1e-6)


def test_an_operating_point_is_measured_on_the_films_that_are_evaluated() -> None:
    point = OperatingPoint(threshold=0.5, sensitivity=0.99, specificity=0.99)
    points = OperatingPoints(youden=point, sensitivity_95=point, specificity_95=point)
    figures = figures_of(np.array(TRUTH), np.array([0.9, 0.4, 0.6, 0.1]), points)
    assert figures["youden"]["sensitivity"]["value"] == figures["youden"]["specificity"]["value"] == 0.5
    assert figures["auroc"]["count"] == 4
    low, high = figures["auroc"]["interval"]
    assert 0.0 <= low <= 0.75 <= high <= 1.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with findings, one of them calibrated, and a manifest."""
    made = tmp_path_factory.mktemp("figures")
    with_findings(made)
    write_data(made / "data", 30)
    return made


def test_the_command_writes_figures_and_a_plot(folder: Path, tmp_path: Path) -> None:
    words = ["evaluate", "findings", folder / "bundle", folder / "data" / "manifest.csv", "--results", tmp_path / "out"]
    result = CliRunner().invoke(app, [str(word) for word in (*words, "--cache", folder / "cache")])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "findings.json").read_text())
    # The card takes figures of its own bundle's weights and split alone.
    assert {"bundle", "weights_sha256", "split"} <= set(found)
    assert {name: one["calibrated"] for name, one in found["findings"].items()} == {"pneumonia": True, "normal": False}
    for one in found["findings"].values():
        assert one["positive"] + one["negative"] == one["auroc"]["count"] == 6
        assert sum(films["films"] for films in one["reliability"]) == 6
    assert "youden" in found["findings"]["pneumonia"]
    assert "youden" not in found["findings"]["normal"]
    with Image.open(tmp_path / "out" / "reliability.png") as plot:
        assert min(plot.size) > 300


def test_a_bundle_without_findings_is_refused(folder: Path, tmp_path: Path) -> None:
    subject = Subject(without_findings(tmp_path), folder / "data" / "manifest.csv", folder / "cache")
    with pytest.raises(DataError, match="declares no findings"):
        evaluate_findings(subject)
