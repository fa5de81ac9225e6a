"""Findings of the embedded bundle's models, calibrated on a few made-up films."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from app.cli import app
from models.bundle import load
from models.evaluation.findings import calibrate_findings, log_odds, write_findings
from models.evaluation.subject import Subject
from models.findings import calibration
from models.findings.yes_no import YesNo
from models.screen import calibration as screen_calibration
from tests.support.findings import FINDINGS, NORMAL
from tests.support.service import ROOT
from tests.support.training import write_data

DEMO = ROOT / "models" / "bundles" / "demo"


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("findings")
    bundle = Path(shutil.copytree(DEMO, folder / "bundle"))
    content = json.loads((bundle / "bundle.json").read_text())
    content["findings"] = [finding.model_dump(mode="json") for finding in FINDINGS]
    (bundle / "bundle.json").write_text(json.dumps(content))
    return Subject(bundle, write_data(folder / "data", 30), folder / "cache")


def test_answers_are_scored_behind_what_they_share(subject: Subject) -> None:
    row = int(subject.rows[0])
    prompts = subject.bundle.prompts
    answers = YesNo.from_answers(prompts, NORMAL.yes, NORMAL.no)
    asked = [*prompts.answer(subject.prompt_codes(row), NORMAL.question), *answers.shared]
    assert answers.shared
    with torch.inference_mode():
        logits = subject.llm(torch.tensor([asked])).logits[0, -1]
    expected = float(logits[answers.yes] - logits[answers.no])
    assert np.allclose(log_odds(subject, NORMAL, [row]), expected, atol=1e-3)


def test_a_calibration_is_put_into_the_bundle_and_few_films_are_named(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, left_out = calibrate_findings(subject)
    assert not found.findings
    assert "2 films with yes and 4 with no" in left_out["normal"]
    monkeypatch.setattr(calibration, "FEWEST", 2)
    found, left_out = calibrate_findings(subject)
    assert (set(found.findings), left_out) == ({"pneumonia", "normal"}, {})
    write_findings(subject, found)
    assert load(subject.bundle.path).findings_calibration == found


def test_the_command_calibrates_films_and_findings_and_says_how(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen_calibration, "FEWEST", 2)
    monkeypatch.setattr(calibration, "FEWEST", 3)
    bundle = shutil.copytree(subject.bundle.path, tmp_path / "bundle")
    manifest = subject.bundle.path.parent / "data" / "manifest.csv"
    words = ["calibrate", bundle, manifest, "--split", "test", "--cache", tmp_path / "cache"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert "low_band_error" in result.output
    assert "pneumonia: not calibrated: 4 films with yes and 2 with no" in result.output
    assert load(bundle).calibration is not None
    assert load(bundle).findings_calibration is not None
