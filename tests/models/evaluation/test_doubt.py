"""Right and wrong sentences, how far their support tells them apart, and the command on the embedded bundle."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from models.conditions import BACTERIAL, NORMAL, VIRAL
from models.data.dataset import Record
from models.evaluation.doubt import is_right, separation
from tests.support.service import ROOT
from tests.support.training import write_data


@pytest.mark.parametrize(
    ("labels", "sentence", "expected"),
    [
        ((BACTERIAL,), "Bacterial pneumonia.", True),
        ((BACTERIAL,), "Viral pneumonia.", False),
        ((BACTERIAL,), "No pneumonia.", False),
        ((VIRAL,), "No bacterial pneumonia.", True),
        ((NORMAL,), "Normal chest, no pneumonia.", True),
        ((NORMAL,), "Pneumonia.", False),
        # What nobody labelled is neither right nor wrong.
        ((BACTERIAL,), "Fracture.", None),
        ((BACTERIAL,), "Bacterial pneumonia and fracture.", None),
        ((BACTERIAL,), "Viral pneumonia and fracture.", False),
        ((BACTERIAL,), "AP chest radiograph of a child.", None),
    ],
)
def test_a_sentence_is_right_where_all_that_it_states_is_so(
    labels: tuple[str, ...], sentence: str, expected: bool | None
) -> None:
    assert is_right(Record("a.png", "test", "g", labels=labels), sentence) is expected


def test_support_that_is_higher_for_every_right_sentence_separates_them() -> None:
    films = [[(True, 1.0), (False, 0.25)], [(True, 0.5)], [(False, 0.125), (True, 0.75)]]
    assert separation(films) == {"value": 1.0, "interval": [1.0, 1.0], "count": 5}
    assert separation([[(is_so, 0.5) for is_so, _ in film] for film in films])["value"] == 0.5


def test_nothing_is_said_where_no_sentence_is_wrong() -> None:
    assert separation([[(True, 1.0)], [(True, 0.5)]]) == {"value": None, "interval": None, "count": 2}


def test_the_command_compares_reports_with_their_samples(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", 30)
    words = ["evaluate", "doubt", ROOT / "models" / "bundles" / "demo", data, "--results", tmp_path / "out"]
    options = ["--cache", tmp_path / "cache", "--films", 3, "--samples", 2]
    result = CliRunner().invoke(app, [str(word) for word in (*words, *options)])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "doubt.json").read_text())
    assert (found["films"], found["samples"], found["split"]) == (3, 2, "test")
    assert found["sentence_support_auroc"]["count"] >= 3
