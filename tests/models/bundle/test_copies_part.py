"""The optional part `copies/` of a bundle."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.bundle import BundleError, load, read_manifest
from models.bundle.check import smoke
from models.bundle.copies import add_copies
from models.bundle.manifest import weights_digest
from models.copies.index import CopyIndex
from tests.models.bundle.test_bundle import DEMO, edit, reseal
from tests.support.copies import films, index_of

CONFIG, INDEX = "copies/config.json", "copies/index.safetensors"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The embedded bundle without an index."""
    copy = Path(shutil.copytree(DEMO, tmp_path / "bundle", ignore=shutil.ignore_patterns("copies")))
    reseal(copy)
    return copy


def tiny_index(bundle: Path, seed: int = 0) -> CopyIndex:
    return index_of(films(8, seed), weights_digest(read_manifest(bundle)), dimensions=4)


@pytest.fixture
def indexed(bundle: Path) -> Path:
    """The same with a tiny index."""
    add_copies(bundle, tiny_index(bundle))
    return bundle


def test_a_bundle_without_an_index_is_valid(bundle: Path) -> None:
    assert load(bundle).copies is None


def test_an_added_index_is_listed_loads_and_leaves_the_other_parts_alone(bundle: Path) -> None:
    before = read_manifest(bundle)
    add_copies(bundle, tiny_index(bundle))
    found = load(bundle)
    assert found.copies is not None
    assert found.copies.config.films == 8
    added = {name for name in found.manifest.files if name not in before.files}
    assert added == {CONFIG, INDEX}
    assert {name: found.manifest.files[name] for name in before.files} == before.files
    assert weights_digest(found.manifest) == weights_digest(before)
    assert [one.name for one in bundle.parent.iterdir()] == ["bundle"]


def test_another_index_takes_the_place_of_the_first(indexed: Path) -> None:
    first = read_manifest(indexed).files[INDEX]
    add_copies(indexed, tiny_index(indexed, 1))
    assert read_manifest(indexed).files[INDEX] != first


def test_it_holds_no_file_name_and_no_patient(indexed: Path) -> None:
    assert set(json.loads((indexed / CONFIG).read_text())) == {
        *("format", "weights_sha256", "films", "dimensions", "limit", "held_out_films", "held_out"),
    }
    assert {name: array.shape for name, array in load_file(indexed / INDEX).items()} == {
        "mean": (256,),
        "components": (256, 4),
        "rows": (8, 4),
    }


def test_an_index_of_other_weights_is_not_put_into_a_bundle(bundle: Path) -> None:
    with pytest.raises(BundleError, match="of other weights"):
        add_copies(bundle, index_of(films(8)))
    assert load(bundle).copies is None


@pytest.mark.parametrize("name", [CONFIG, INDEX])
def test_half_an_index_is_refused(indexed: Path, name: str) -> None:
    (indexed / name).unlink()
    reseal(indexed)
    with pytest.raises(BundleError, match=rf"{name} is missing"):
        load(indexed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"surprise": 1}, "not an index's configuration"),
        ({"limit": 3.0}, "not an index's configuration"),
        ({"films": 2**40}, "not an index's configuration"),
        ({"films": 9}, "rows is not what"),
        ({"dimensions": 5}, "components is not what"),
        ({"weights_sha256": "1" * 64}, "of other weights"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(indexed: Path, change: dict[str, Any], words: str) -> None:
    edit(indexed, CONFIG, lambda body: body.update(change))
    reseal(indexed)
    with pytest.raises(BundleError, match=words):
        load(indexed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop("rows"), "rows is not what"),
        (lambda tensors: tensors.update(rows=np.zeros((8, 4), np.float32)), "rows is not what"),
        (lambda tensors: tensors.update(names=np.zeros(3, np.int8)), "'names' is no part of an index"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    indexed: Path, change: Callable[[dict[str, np.ndarray]], None], words: str
) -> None:
    tensors = load_file(indexed / INDEX)
    change(tensors)
    save_file(tensors, indexed / INDEX)
    reseal(indexed)
    with pytest.raises(BundleError, match=words):
        load(indexed)


def test_values_that_are_not_finite_are_refused_before_anything_is_served(indexed: Path) -> None:
    tensors = load_file(indexed / INDEX)
    save_file(tensors | {"mean": np.full_like(tensors["mean"], np.nan)}, indexed / INDEX)
    reseal(indexed)
    with pytest.raises(BundleError, match="not finite"):
        _ = load(indexed).copies


def test_the_smoke_test_compares_a_picture_too(indexed: Path) -> None:
    assert "with 8 training films" in smoke(load(indexed))["compared"]
