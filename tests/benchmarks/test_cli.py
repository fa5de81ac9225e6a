"""`cxr bench`: what it refuses, what it writes, and that one scenario's failure keeps the others' figures."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from benchmarks.cli import run
from benchmarks.measure import Result
from benchmarks.suite import Suite
from models.bundle import load
from models.bundles import DEMO_BUNDLE

RUN = CliRunner()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scenario", "nothing"], "there are floor"),
        (["--preset", "huge"], "there are small, 78m"),
        (["--device", "tpu"], "give cpu or cuda"),
        (["make-bundle", "--out", "x", "--hidden", "10", "--heads", "3"], "no multiple of --heads 3"),
        (["make-bundle", "--out", "x", "--dtype", "int4"], "float32 or bfloat16"),
    ],
)
def test_a_wrong_word_is_refused_with_what_there_is(words: list[str], said: str) -> None:
    done = RUN.invoke(app, ["bench", *words])
    assert done.exit_code == 2
    assert said in done.output.replace("\n", " ")


def test_a_bundle_of_any_size_is_made_once(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    words = ["bench", "make-bundle", "--out", str(out), "--hidden", "32", "--layers", "1", "--heads", "1"]
    assert RUN.invoke(app, words).exit_code == 0
    assert load(out).vocabulary.size == 51_305
    assert RUN.invoke(app, words).exit_code == 2


def test_a_scenario_that_fails_keeps_the_figures_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def well(suite: Suite) -> Result:
        return Result("well", "Well", {"rounds": suite.rounds})

    async def ill(suite: Suite) -> Result:
        raise RuntimeError("no luck")

    suite = Suite(DEMO_BUNDLE, "cpu", 2, tmp_path / "work", tmp_path / "cache")
    assert run(suite, {"ill": ill, "well": well}, tmp_path, {}) == ["ill"]
    assert "ill failed: RuntimeError: no luck" in capsys.readouterr().err
    assert json.loads((tmp_path / "well.json").read_text())["figures"] == {"rounds": 2}
    assert (tmp_path / "bench.md").exists()
