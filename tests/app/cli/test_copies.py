"""`cxr copies`: an index of the training films of a manifest, put into a bundle."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from app.cli import app
from models.bundle import load
from models.data.dataset import write_dataset
from tests.models.bundle.test_bundle import DEMO, reseal
from tests.support.copies import films
from tests.support.training import record

RUN = CliRunner()
SPLITS = ("train", "train", "validation")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The embedded bundle without an index."""
    copy = Path(shutil.copytree(DEMO, tmp_path / "bundle", ignore=shutil.ignore_patterns("copies")))
    reseal(copy)
    return copy


def write_films(folder: Path, count: int) -> Path:
    """A manifest of smooth pictures, a third of them for validation."""
    folder.mkdir()
    for number, film in enumerate(films(count)):
        Image.fromarray(film).save(folder / f"{number}.png")
    rows = [record(("normal",), number, split=SPLITS[number % 3]) for number in range(count)]
    write_dataset(rows, folder / "manifest.csv")
    return folder / "manifest.csv"


def test_an_index_of_the_training_split_is_put_into_the_bundle(bundle: Path, tmp_path: Path) -> None:
    manifest = write_films(tmp_path / "data", 150)
    result = RUN.invoke(app, ["copies", str(bundle), str(manifest), "--cache", str(tmp_path / "cache")])
    assert result.exit_code == 0, result.output
    assert "100 films in the index, 50 held out" in result.output
    index = load(bundle).copies
    assert index is not None
    # The third film is held out: row 2 of the split is the fourth of the manifest.
    images = np.load(tmp_path / "cache" / "images.npy")
    assert [index.nearest(images[row]).row for row in (0, 1, 3)] == [0, 1, 2]
    assert index.nearest(images[2]).similarity < index.config.limit


def test_too_few_held_out_films_are_one_sentence_and_the_bundle_stays(bundle: Path, tmp_path: Path) -> None:
    manifest = write_films(tmp_path / "data", 9)
    result = RUN.invoke(app, ["copies", str(bundle), str(manifest), "--cache", str(tmp_path / "cache")])
    assert result.exit_code == 1
    assert "3 held-out films are too few" in result.output.replace("\n", " ")
    assert load(bundle).copies is None
