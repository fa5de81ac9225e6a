"""Figures of a screen on made-up pictures, and their part of a card."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle import BundleError, load
from models.bundle.screen import add_screen
from models.data.dataset import DataError
from models.evaluation import screen_pictures
from models.evaluation.screen import evaluate_screen
from models.evaluation.screen_card import screen_part
from models.evaluation.statistics import auroc
from models.evaluation.subject import Subject
from tests.models.bundle.test_bundle import DEMO, reseal
from tests.support.screens import tiny_screen, write_folder
from tests.support.training import write_data


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded bundle with a tiny screen."""
    folder = tmp_path_factory.mktemp("screened")
    shutil.copytree(DEMO, folder / "bundle")
    tiny_screen().save(folder / "trained")
    add_screen(folder / "bundle", folder / "trained")
    return folder / "bundle"


@pytest.fixture(scope="module")
def results(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is measured on four films and a folder of strangers."""
    folder = tmp_path_factory.mktemp("data")
    subject = Subject(bundle, write_data(folder / "films", 20), folder / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screen_pictures, "_EACH", 2)
        return evaluate_screen(subject, write_folder(folder / "strangers"))


def test_auroc_counts_pairs_and_halves_ties() -> None:
    assert auroc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1.0
    assert auroc(np.array([0.0, 2.0]), np.array([1.0])) == 0.5
    assert auroc(np.array([1.0]), np.array([1.0])) == 0.5


def test_every_picture_is_in_the_confusion_table(results: dict[str, Any]) -> None:
    table = results["confusion"]
    assert sum(table["frontal"].values()) == results["films"] == 4
    counted = sum(sum(row.values()) for kind, row in table.items() if kind != "frontal")
    assert counted == results["strangers"]["pictures"]


def test_strangers_of_the_training_are_measured_apart(results: dict[str, Any]) -> None:
    names = results["strangers"]["by_source"]
    assert "museum (lateral)" in names
    assert not any("shop" in name or "drawn: text" in name for name in names)
    assert "drawn: text (not_a_radiograph)" in results["drawn_families_of_the_training"]


def test_the_threshold_of_mirrored_films_lets_a_twentieth_of_true_ones_pass(results: dict[str, Any]) -> None:
    assert 0 <= results["wrongs"]["mirrored"]["found_at_5_percent_false_alarms"] <= 1
    assert set(results["wrongs"]["turned"]) == {"90", "180", "270"}


def test_the_card_shows_the_figures_and_refuses_those_of_another_screen(bundle: Path, results: dict[str, Any]) -> None:
    text = screen_part(load(bundle), results)
    assert "mirrored: found at 5 % false alarms" in text
    assert "| museum (lateral) | 1 |" in text
    assert "no real lateral film" not in text
    with pytest.raises(DataError, match="another screen"):
        screen_part(load(bundle), {**results, "screen_sha256": "0"})


def test_a_bundle_without_a_screen_has_no_such_part_and_cannot_be_measured(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(DEMO, bare, ignore=shutil.ignore_patterns("screen", "calibration.json"))
    reseal(bare)
    assert screen_part(load(bare), None) == ""
    with pytest.raises(DataError, match="has no screen"):
        evaluate_screen(Subject(bare, write_data(tmp_path / "films", 5), tmp_path / "cache"))


def test_the_own_models_are_measured_alone_and_with_the_screen(bundle: Path, results: dict[str, Any]) -> None:
    own = results["own_models"]
    assert set(own["found"]) == {"turned 90", "turned 180", "turned 270", "inverted", "mirrored"}
    assert own["strangers_refused"] > 0.5
    assert own["with_the_screen"]["strangers_refused"] > 0
    text = screen_part(load(bundle), results)
    assert "with the screen, as served: strangers refused" in text


def test_a_calibration_of_other_weights_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(DEMO, other)
    file = other / "calibration.json"
    file.write_text(file.read_text().replace('"weights_sha256":"', '"weights_sha256":"0'))
    reseal(other)
    with pytest.raises(BundleError, match="other weights"):
        _ = load(other).calibration
