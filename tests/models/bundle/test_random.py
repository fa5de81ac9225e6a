"""Bundles of random weights."""

import json
from math import prod
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models.bundle import BundleError, load
from models.bundle.random import PRESETS, Geometry, llm_config, make_bundle, vqgan_config
from models.bundle.shapes import shapes_of
from models.vqgan import VQGAN

TINY = Geometry(hidden=32, layers=1, heads=1)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for file in (folder / "llm").glob("*.safetensors") for name, value in load_file(file).items()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny", TINY)


def test_a_bundle_verifies_and_has_the_published_vocabulary(tiny: Path) -> None:
    bundle = load(tiny)
    assert bundle.vocabulary.text_size == bundle.vocabulary.image_offset == 50281
    assert bundle.vocabulary.size == 51305
    assert bundle.image_tokens == 256
    drawn = bundle.prompts.draw("Normal.")
    assert bundle.vocabulary.response == drawn[-1]
    assert max(drawn) < 640, "no text reaches the unused tokens"


def test_a_damaged_bundle_is_refused(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle", TINY)
    file = next((folder / "llm").glob("*.safetensors"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(BundleError, match="SHA-256"):
        load(folder)


def test_weights_have_the_spread_that_gpt_neox_begins_with(tiny: Path) -> None:
    found = weights(tiny)
    assert {name: tuple(value.shape) for name, value in found.items()} == shapes_of(llm_config(TINY)).wanted
    assert found["gpt_neox.embed_in.weight"].std().item() == pytest.approx(0.02, rel=0.01)
    assert not torch.equal(found["gpt_neox.embed_in.weight"], found["lm_head.weight"])
    assert found["gpt_neox.final_layer_norm.weight"].unique().tolist() == [1.0]
    assert found["gpt_neox.final_layer_norm.bias"].unique().tolist() == [0.0]


def test_the_same_seed_gives_the_same_files_whatever_was_drawn_before(tiny: Path, tmp_path: Path) -> None:
    torch.rand(3)
    same, other = make_bundle(tmp_path / "same", TINY), make_bundle(tmp_path / "other", TINY, seed=1)
    assert load(same).sha256 == load(tiny).sha256
    assert load(other).sha256 != load(tiny).sha256


def test_weights_are_written_shard_by_shard(tiny: Path, tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle", TINY, shard_bytes=8 * 2**20)
    files = sorted((folder / "llm").glob("*.safetensors"))
    assert len(files) == 2
    index = json.loads((folder / "llm" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {file.name for file in files}
    assert index["metadata"]["total_size"] == sum(value.nbytes for value in weights(folder).values())
    assert all(torch.equal(value, weights(tiny)[name]) for name, value in weights(folder).items())


def test_a_vqgan_of_so_many_channels_is_random_and_of_the_published_architecture(tmp_path: Path) -> None:
    bundle = load(make_bundle(tmp_path / "bundle", Geometry(hidden=32, layers=1, heads=1, vqgan_channels=32)))
    config = VQGAN.load(bundle.vqgan).config
    assert config == vqgan_config(32)
    assert config.model_copy(update={"ch": 128}) == vqgan_config(PRESETS["published"].vqgan_channels or 0)


def test_dtype_reaches_weights_and_configuration(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle", Geometry(hidden=32, layers=1, heads=1, dtype="bfloat16"), name="half")
    assert {value.dtype for value in weights(folder).values()} == {torch.bfloat16}
    assert json.loads((folder / "llm" / "config.json").read_text())["dtype"] == "bfloat16"
    assert load(folder).manifest.name == "half"


def test_nothing_that_exists_is_replaced(tiny: Path) -> None:
    with pytest.raises(FileExistsError):
        make_bundle(tiny, TINY)


@pytest.mark.parametrize(("preset", "low", "high"), [("78m", 77e6, 79e6), ("published", 2.75e9, 2.8e9)])
def test_presets_have_the_parameters_they_are_named_for(preset: str, low: float, high: float) -> None:
    assert low < sum(prod(shape) for shape in shapes_of(llm_config(PRESETS[preset])).wanted.values()) < high
