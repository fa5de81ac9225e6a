"""The whole recipe on twenty made-up radiographs, by its commands, to a bundle that the server loads."""

import json
import shutil
from pathlib import Path

import httpx
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from app.cli import app
from models.bundle import load
from models.data.dataset import DataError
from models.screen import calibration
from models.training.recipe import FOLDER as RECIPES
from models.training.recipe import load_recipe, names
from tests.support.screens import write_folder
from tests.support.served import start
from tests.support.training import write_data

cli = CliRunner()


def ran(*words: object) -> str:
    result = cli.invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the manifest, the checkpoints and the bundle."""
    folder = tmp_path_factory.mktemp("recipe")
    manifest = write_data(folder / "data", 20)
    ran("train", "all", manifest, folder / "out", "--recipe", "tiny", "--bundle", folder / "bundle")
    return folder


@pytest.mark.parametrize("name", names())
def test_every_recipe_is_valid(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.vqgan.freeze_codes_from <= recipe.vqgan.steps
    assert recipe.instruct.steps > 0


def test_a_recipe_with_a_mistake_is_explained(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("name = 1\n[vqgan]\nstep = 3\n")
    with pytest.raises(DataError, match=r"vqgan\.step: Extra inputs"):
        load_recipe(str(tmp_path / "a.toml"))
    with pytest.raises(DataError, match="there are anneal, demo, distil, gpu, paper, tiny"):
        load_recipe("nano")


def test_every_stage_leaves_its_checkpoint_samples_and_logs(trained: Path) -> None:
    out = trained / "out"
    for stage in ("classifier", "vqgan", "instruct"):
        assert (out / f"{stage}.state").is_file()
        assert any((out / "logs" / stage).iterdir())
    for name in ("vqgan-000008", "instruct-000006"):
        with Image.open(out / "samples" / f"{name}.png") as picture:
            assert picture.size[1] >= 64
    assert load(trained / "bundle").manifest.label == "tiny-0"


def test_a_screen_is_trained_put_into_a_copy_of_the_bundle_and_measured(trained: Path, tmp_path: Path) -> None:
    manifest, bundle = trained / "data" / "manifest.csv", tmp_path / "bundle"
    shutil.copytree(trained / "bundle", bundle)
    strangers = write_folder(tmp_path / "strangers")
    words = ("train", "screen", manifest, tmp_path / "out", "--recipe", "tiny", "--strangers", strangers)
    assert "cxr evaluate screen" in ran(*words, "--bundle", bundle)
    assert load(bundle).screen is not None
    common = ("--results", tmp_path / "results", "--cache", tmp_path / "cache")
    ran("evaluate", "screen", bundle, manifest, *common, "--strangers", strangers)
    found = json.loads((tmp_path / "results" / "screen.json").read_text())
    assert found["films"] == 4


def _going_on(trained: Path, folder: Path) -> Path:
    """A folder with a recipe that goes on from the trained bundle, with a step as small as none."""
    changed = "[instruct]\ngoes_on = true\nlearning_rate = 1e-12"
    (folder / "on.toml").write_text((RECIPES / "tiny.toml").read_text().replace("[instruct]", changed))
    shutil.copytree(trained / "bundle" / "vqgan", folder / "out" / "vqgan")
    return folder / "on.toml"


def test_training_goes_on_from_a_bundle_with_its_own_tokens(trained: Path, tmp_path: Path) -> None:
    recipe, manifest = _going_on(trained, tmp_path), trained / "data" / "manifest.csv"
    common = ("train", "all", manifest, tmp_path / "out", "--recipe", recipe, "--bundle", tmp_path / "bundle")
    ran(*common, "--start", trained / "bundle")
    first, second = (load_file(folder / "bundle" / "llm" / "model.safetensors") for folder in (trained, tmp_path))
    assert all(torch.allclose(second[name].float(), tensor.float(), atol=1e-6) for name, tensor in first.items())
    tokens = [(folder / "bundle" / "llm" / "tokenizer.json").read_bytes() for folder in (trained, tmp_path)]
    assert tokens[0] == tokens[1]


def test_a_recipe_that_goes_on_from_nothing_is_explained(trained: Path, tmp_path: Path) -> None:
    recipe, manifest = _going_on(trained, tmp_path), trained / "data" / "manifest.csv"
    words = ["train", "all", manifest, tmp_path / "out", "--recipe", recipe, "--bundle", tmp_path / "bundle"]
    result = cli.invoke(app, [str(word) for word in words])
    assert result.exit_code == 1
    assert "name a bundle to start from" in result.output.replace("\n", " ")


@pytest.mark.slow
def test_the_bundle_is_measured_and_gets_its_card(trained: Path) -> None:
    results, manifest, bundle = trained / "results", trained / "data" / "manifest.csv", trained / "bundle"
    common = ("--results", results, "--cache", trained / "cache")
    judge = trained / "out" / "classifier"
    ran("evaluate", "images", bundle, manifest, *common, "--features", f"classifier:{judge}")
    ran("evaluate", "reports", bundle, manifest, *common)
    ran("evaluate", "vqa", bundle, manifest, *common)
    scales = ("--guidance", 1, "--guidance", 2.5)
    ran("evaluate", "drawings", bundle, manifest, *common, "--judge", judge, "--each", 3, *scales)
    ran("evaluate", "watermark", bundle, manifest, *common, "--each", 2, "--strength", 0, "--strength", 6)
    ran("evaluate", "card", bundle, manifest, *common, "--recipe", "tiny")
    marks = json.loads((results / "watermark.json").read_text())
    assert [one["after"]["codes themselves"]["green"] > 0.8 for one in marks["by_strength"].values()] == [False, True]
    assert marks["by_strength"]["0"]["structure_over_unmarked"] == 1.0
    assert marks["false_alarms"]["below"]["1e-06"] == 0.0
    figures = {name: json.loads((results / f"{name}.json").read_text()) for name in ("images", "reports", "drawings")}
    assert figures["images"]["images"] == 4
    assert 0 < figures["images"]["psnr_db"] < 60
    assert figures["images"]["distances"][0]["fid"] >= 0
    assert figures["drawings"]["label_agreement"]["count"] == 9
    assert figures["drawings"]["nearest_training_image"]["drawn"]["least"] > 0
    assert 0 <= figures["drawings"]["distances"][0]["recall"] <= 1
    by_guidance = figures["drawings"]["by_guidance"]
    assert list(by_guidance) == ["1", "2.5"]
    # The bundle guides by nothing, and both are of one seed.
    assert by_guidance["1"]["label_agreement"] == figures["drawings"]["label_agreement"]
    assert by_guidance["1"]["distances"] == figures["drawings"]["distances"]
    assert by_guidance["2.5"]["likeness_to_real_images"] != by_guidance["1"]["likeness_to_real_images"]
    with Image.open(results / "guidance.png") as picture:
        assert picture.size[0] > 600
    with Image.open(results / "contact.png") as sheet:
        # Four test radiographs: two of one label, one of each other.
        assert sheet.size == (4 * 66 - 2, 3 * 66 - 2)
    with Image.open(results / "drawings.png") as sheet:
        assert sheet.size == (3 * 66 - 2, 3 * 66 - 2)
    card = (bundle / "MODEL_CARD.md").read_text()
    assert f"{figures['images']['psnr_db']} dB" in card
    assert load(bundle).manifest.label == "tiny-0"


def test_a_bundle_is_calibrated_on_films_and_few_of_them_are_refused(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(trained / "bundle", bundle)
    words = ("calibrate", bundle, trained / "data" / "manifest.csv", "--cache", trained / "cache")
    result = cli.invoke(app, [str(word) for word in (*words, "--split", "test")])
    assert result.exit_code == 1
    assert "too few" in result.output
    assert load(bundle).calibration is None
    monkeypatch.setattr(calibration, "FEWEST", 2)
    assert "low_band_error" in ran(*words, "--split", "test")
    found = load(bundle).calibration
    assert found is not None
    assert set(found.measures) == {"low_band_error", "squared_error", "distinct_codes", "log_likelihood", "layout"}


def test_results_of_other_weights_are_refused(trained: Path, tmp_path: Path) -> None:
    for part in ("images", "reports", "vqa", "drawings"):
        (tmp_path / f"{part}.json").write_text(
            json.dumps({"bundle": "tiny-0", "weights_sha256": "0" * 64, "split": "test"})
        )
    words = ["evaluate", "card", trained / "bundle", trained / "data" / "manifest.csv", "--results", tmp_path]
    result = cli.invoke(app, [str(word) for word in [*words, "--cache", trained / "cache", "--recipe", "tiny"]])
    assert result.exit_code == 1
    assert "evaluate again" in result.output.replace("\n", " ")


def test_bad_data_is_one_sentence_and_nothing_is_written(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("image,split,group,view,labels\nmissing.png,train,p,AP,normal\n")
    result = cli.invoke(app, ["train", "all", str(tmp_path / "m.csv"), str(tmp_path / "out"), "--recipe", "tiny"])
    assert result.exit_code == 1
    assert "row 2: missing.png is not a readable image" in result.output.replace("\n", " ")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.engine
def test_the_server_loads_the_trained_bundle_and_does_its_jobs(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    service = start(tmp_path_factory.mktemp("s") / "run", CXR_BUNDLE=str(trained / "bundle"))
    try:
        with httpx.Client(base_url=service.url, timeout=60) as client, (trained / "data" / "0.png").open("rb") as image:
            assert client.post("/v1/reports", files={"image": image}).status_code == 200
            drawn = client.post("/v1/images/generations", json={"prompt": "Normal."})
            assert drawn.status_code == 200, drawn.text
    finally:
        assert service.stop() == 0
