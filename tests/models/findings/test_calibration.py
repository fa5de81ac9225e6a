"""Platt's scaling, the points to cut at, and the bundle that a calibration belongs to."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import CxrError
from app.parts import bundle_of
from app.settings import Settings
from models.bundle import BundleError, file_entries, load, read_manifest, write_manifest
from models.findings.calibration import FEWEST, FINDINGS_FILE, FindingCalibration, platt, scaled
from models.findings.operating_points import OperatingPoints, reliability
from tests.support.findings import PNEUMONIA, calibration_of, with_findings
from tests.support.service import ROOT


def films(count: int, slope: float, intercept: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds, and truths that follow them by a sigmoid."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0.0, 3.0, count)
    return log_odds, rng.random(count) < scaled(log_odds, slope, intercept)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, -1.0), (2.0, 1.5)])
def test_the_sigmoid_that_made_the_films_is_found_again(slope: float, intercept: float) -> None:
    found = platt(*films(20_000, slope, intercept))
    assert found == pytest.approx((slope, intercept), abs=0.1)


def test_separable_films_have_a_finite_slope_and_impossible_answers_a_probability() -> None:
    log_odds = np.array([-np.inf, -3.0, -2.0, 2.0, 3.0, np.inf] * 10)
    slope, intercept = platt(log_odds, log_odds > 0)
    assert 0.0 < slope < 20.0
    found = scaled(log_odds, slope, intercept)
    assert ((found >= 0.0) & (found <= 1.0)).all()


def test_a_model_that_is_wrong_more_often_than_right_leaves_the_share_of_yes() -> None:
    log_odds, truth = films(2_000, 1.0, -1.0)
    slope, intercept = platt(-log_odds, truth)
    assert slope == 0.0
    assert scaled(np.zeros(1), slope, intercept)[0] == pytest.approx(truth.mean(), abs=0.01)


def test_points_are_cut_where_they_are_said_to_be() -> None:
    probabilities = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    truth = np.array([0, 0, 0, 1, 0, 1, 1, 1], bool)
    found = OperatingPoints.from_scores(probabilities, truth)
    assert (found.youden.threshold, found.youden.sensitivity, found.youden.specificity) == (0.4, 1.0, 0.75)
    assert found.sensitivity_95 == found.youden
    assert (found.specificity_95.threshold, found.specificity_95.sensitivity) == (0.7, 0.75)


@pytest.mark.parametrize("seed", range(3))
def test_points_have_the_sensitivity_and_specificity_that_they_promise(seed: int) -> None:
    log_odds, truth = films(500, 1.0, -0.5, seed)
    probabilities = scaled(log_odds, 1.0, -0.5)
    found = OperatingPoints.from_scores(probabilities, truth)
    for point in (found.youden, found.sensitivity_95, found.specificity_95):
        said = probabilities >= point.threshold
        assert point.sensitivity == pytest.approx(said[truth].mean())
        assert point.specificity == pytest.approx((~said[~truth]).mean())
    assert found.sensitivity_95.sensitivity >= 0.95
    assert found.specificity_95.specificity >= 0.95
    sum_of = [point.sensitivity + point.specificity for point in (found.sensitivity_95, found.specificity_95)]
    assert found.youden.sensitivity + found.youden.specificity >= max(sum_of)


def test_films_that_all_look_the_same_still_have_points() -> None:
    found = OperatingPoints.from_scores(np.ones(8), np.array([0, 1] * 4, bool))
    assert found.sensitivity_95.sensitivity == 1.0


def test_the_reliability_curve_of_true_probabilities_is_the_diagonal() -> None:
    log_odds, truth = films(20_000, 1.0, 0.0)
    found = FindingCalibration.from_scores(PNEUMONIA, log_odds, truth).reliability
    assert sum(one.films for one in found) == 20_000
    assert [one.observed for one in found] == pytest.approx([one.predicted for one in found], abs=0.04)
    assert len(reliability(np.array([0.5, 0.1]), np.array([True, False]))) == 2


@pytest.mark.parametrize(("positive", "negative"), [(FEWEST - 1, 100), (100, FEWEST - 1), (0, 0)])
def test_too_few_films_are_refused_with_their_number(positive: int, negative: int) -> None:
    truth = np.array([True] * positive + [False] * negative, bool)
    with pytest.raises(ValueError, match=f"{positive} films with yes and {negative} with no"):
        FindingCalibration.from_scores(PNEUMONIA, np.zeros(len(truth)), truth)


def test_a_bundles_calibration_is_read_back(tmp_path: Path) -> None:
    bundle = with_findings(tmp_path)
    found = load(bundle).findings_calibration
    assert found is not None
    assert found.findings == {"pneumonia": calibration_of()}
    (bundle / FINDINGS_FILE).unlink()
    write_manifest(bundle, read_manifest(bundle).model_copy(update={"files": file_entries(bundle)}))
    assert load(bundle).findings_calibration is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights_sha256": "0" * 64}, "of other weights"),
        ({"findings": {"effusion": calibration_of().model_dump(mode="json")}}, "'effusion' otherwise"),
        ({"findings": {"pneumonia": {**calibration_of().model_dump(mode="json"), "question": "?"}}}, "otherwise"),
        ({"format": 2}, "not what `cxr calibrate` writes"),
        ({"findings": {"pneumonia": {**calibration_of().model_dump(mode="json"), "slope": -1.0}}}, "not what"),
    ],
)
def test_a_calibration_of_something_else_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        _ = load(with_findings(tmp_path, **changes)).findings_calibration
    with pytest.raises(CxrError, match=r"findings\.json") as refused:
        bundle_of(Settings(state_dir=tmp_path, bundle=tmp_path / "bundle"))
    assert refused.value.code == "bundle_refused"


def test_the_embedded_bundle_has_all_its_findings_calibrated() -> None:
    bundle = load(ROOT / "models" / "bundles" / "demo")
    names = ["pneumonia", "bacterial pneumonia", "viral pneumonia", "normal"]
    assert [finding.name for finding in bundle.manifest.findings] == names
    assert bundle.findings_calibration is not None
    assert set(bundle.findings_calibration.findings) == set(names)
