"""Figures that can be worked out by hand come out so."""

from pathlib import Path

import numpy as np
import pytest

from models.data.dataset import DataError
from models.evaluation.drawings import nearest
from models.evaluation.reconstruction import codebook_use, distances, psnr, ssim
from models.evaluation.reports import finding_scores
from models.evaluation.requests import judged, similarity
from models.evaluation.statistics import accuracy, balanced_accuracy, interval, macro_f1, micro_f1
from models.evaluation.text_scores import score_texts

TRUTH = ["a", "a", "a", "b"]
STATED = ["a", "b", None, "b"]


def test_scores_of_four_rows() -> None:
    assert accuracy(TRUTH, STATED) == 0.5
    assert balanced_accuracy(TRUTH, STATED) == pytest.approx((1 / 3 + 1) / 2)
    # a: precision 1, recall 1/3; b: precision 1/2, recall 1.
    assert macro_f1(TRUTH, STATED) == pytest.approx((0.5 + 2 / 3) / 2)
    # Two hits of three statements and four truths.
    assert micro_f1(TRUTH, STATED) == pytest.approx(4 / 7)


def test_an_interval_holds_its_score_and_narrows_with_rows() -> None:
    low, high = interval(balanced_accuracy, TRUTH * 5, STATED * 5, 200)
    assert low < balanced_accuracy(TRUTH, STATED) < high
    narrow = interval(balanced_accuracy, TRUTH * 50, STATED * 50, 200)
    assert narrow[1] - narrow[0] < high - low


def test_reconstruction_figures() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(20, 230, (2, 64, 64)).astype(np.uint8)
    assert psnr(images, images + np.uint8(10)) == pytest.approx([28.13, 28.13], abs=0.01)
    assert ssim(images, images) == pytest.approx(1.0)
    assert ssim(images, images[::-1]) < 0.2
    assert codebook_use(np.array([[0, 1], [1, 3]]), 8) == 0.375


def test_distances_are_small_for_the_same_images_and_large_for_brighter_ones() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 120, (16, 32, 32)).astype(np.uint8)
    reference = "tests.support.training:Brightness"
    same = distances(images, images, reference)
    other = distances(images, images + np.uint8(100), reference)
    assert same["fid"] == pytest.approx(0.0, abs=1e-3)
    assert other["fid"] > 0.4


def test_findings_are_scored_where_there_are_enough_of_them() -> None:
    truth = [frozenset({"mass"})] * 6 + [frozenset({"edema"})]
    found = [frozenset({"mass"})] * 3 + [frozenset({"edema"})] * 4
    scores = finding_scores(truth, found)
    assert scores["by_label"] == {"mass": round(6 / 9, 3)}
    assert scores["micro_f1"] == scores["macro_f1"] == round(6 / 9, 3)


def test_copies_are_near_and_varied_images_are_unlike() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (6, 192, 192)).astype(np.uint8)
    assert nearest(images[:2], images) == pytest.approx([0.0, 0.0], abs=0.1)
    assert nearest(images[:1], images[1:])[0] > 10
    assert similarity(np.repeat(images[:1], 3, 0)) == pytest.approx(1.0, abs=1e-3)
    assert similarity(images) < 0.3


def test_a_judge_that_lacks_a_label_is_refused() -> None:
    from models.classifier import Classifier, ClassifierConfig

    judge = Classifier(ClassifierConfig(labels=("a", "b"), side=16, channels=(8, 8))).eval()
    images = np.zeros((3, 32, 32), np.uint8)
    assert set(judged(judge, images, ["a", "b"])) <= {"a", "b"}
    with pytest.raises(DataError, match="does not know"):
        judged(judge, images, ["a", "c"])


def test_a_score_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no score"):
        score_texts("bleu", tmp_path, ["a"], ["a"])
    with pytest.raises(DataError, match="no weights"):
        score_texts("radgraph", tmp_path / "x", ["a"], ["a"])
    with pytest.raises(DataError, match="radiologist's text"):
        score_texts("radgraph", tmp_path, [], [])
