"""Bundles: what is verified before anything is used."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.bundle import BundleError, file_entries, load, read_manifest, write_manifest
from tests.support.service import ROOT

DEMO = ROOT / "models" / "bundles" / "demo"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the embedded bundle to damage."""
    return Path(shutil.copytree(DEMO, tmp_path / "bundle"))


def reseal(folder: Path) -> None:
    """Make the checksums right again, so that only the damage under test is left."""
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.model_copy(update={"files": file_entries(folder)}))


def edit(folder: Path, name: str, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    body = json.loads((folder / name).read_text())
    change(body)
    (folder / name).write_text(json.dumps(body))


def test_the_embedded_bundle_verifies_and_is_small_enough_for_git() -> None:
    bundle = load(DEMO)
    assert bundle.image_tokens == 256
    assert sum(entry.bytes for entry in bundle.manifest.files.values()) < 45_000_000


def test_the_embedded_bundle_has_a_card_with_measured_figures_and_attributions() -> None:
    card = (DEMO / "MODEL_CARD.md").read_text()
    assert "Not for clinical use" in card
    assert "PSNR" in card
    assert "CC BY" in card


def test_a_flipped_byte_is_found(copy: Path) -> None:
    file = copy / "llm" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(BundleError, match=r"llm/model\.safetensors: its SHA-256 differs"):
        load(copy)


def test_a_truncated_a_missing_and_an_unlisted_file_are_named(copy: Path) -> None:
    (copy / "llm" / "extra.json").write_text("{}")
    with pytest.raises(BundleError, match=r"llm/extra\.json: the manifest does not list"):
        load(copy)
    (copy / "llm" / "extra.json").unlink()
    (copy / "vqgan" / "config.json").write_text("")
    with pytest.raises(BundleError, match=r"vqgan/config\.json: 0 bytes"):
        load(copy)
    (copy / "vqgan" / "config.json").unlink()
    with pytest.raises(BundleError, match=r"vqgan/config\.json: listed in the manifest, but missing"):
        load(copy)


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("llm/config.json", "vocab_size", 99, "vocab_size is 99"),
        ("vqgan/config.json", "n_embed", 512, "n_embed is 512"),
        ("vqgan/config.json", "resolution", 128, "resolution is 128"),
        ("vqgan/config.json", "ch_mult", [1, 2, 4, 8], "grid is"),
        ("vqgan/config.json", "surprise", 1, "not a VQ-GAN configuration"),
    ],
)
def test_parts_that_do_not_fit_are_named(copy: Path, name: str, key: str, value: object, message: str) -> None:
    edit(copy, name, lambda body: body.update({key: value}))
    reseal(copy)
    with pytest.raises(BundleError, match=message):
        load(copy)


def test_a_tokenizer_of_another_length_is_refused(copy: Path) -> None:
    manifest = read_manifest(copy)
    spec = manifest.vocabulary
    changed = spec.model_copy(update={"text_size": spec.text_size - 1, "image_offset": spec.text_size - 1})
    edit(copy, "llm/config.json", lambda body: body.update(vocab_size=spec.text_size - 1 + spec.codebook_size))
    write_manifest(copy, manifest.model_copy(update={"vocabulary": changed, "files": file_entries(copy)}))
    with pytest.raises(BundleError, match="the tokenizer has"):
        load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"surprise": 1}, "surprise"),
        ({"name": "../evil"}, "name"),
        ({"files": {"../secret": {"sha256": "0" * 64, "bytes": 1}}}, "plain relative path"),
        ({"files": {"/etc/passwd": {"sha256": "0" * 64, "bytes": 1}}}, "plain relative path"),
    ],
)
def test_a_manifest_that_breaks_the_schema_is_refused(copy: Path, change: dict[str, object], message: str) -> None:
    edit(copy, "bundle.json", lambda body: body.update(change))
    with pytest.raises(BundleError, match=message):
        load(copy)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no bundle\.json"):
        load(tmp_path)


def test_guidance_is_declared_of_drawings_and_off_where_a_bundle_says_nothing(copy: Path) -> None:
    assert (manifest := read_manifest(copy)).decoding.draw.guidance == 1.0
    assert manifest.decoding.draw.unconditional == "before_image"
    edit(copy, "bundle.json", lambda body: body["decoding"]["draw"].update(guidance=2.5, unconditional="empty"))
    reseal(copy)
    assert (load(copy).manifest.decoding.draw.guidance, read_manifest(copy).decoding.draw.unconditional) == (
        2.5,
        "empty",
    )


def test_a_manifest_without_guidance_can_be_read_by_releases_that_know_none(copy: Path) -> None:
    write_manifest(copy, read_manifest(copy))
    assert set(json.loads((copy / "bundle.json").read_text())["decoding"]["draw"]) == {
        "temperature",
        "top_p",
        "max_tokens",
    }


@pytest.mark.parametrize("change", [{"guidance": 0.5}, {"guidance": 11}, {"unconditional": "nothing"}])
def test_guidance_out_of_bounds_is_refused(copy: Path, change: dict[str, object]) -> None:
    edit(copy, "bundle.json", lambda body: body["decoding"]["draw"].update(change))
    with pytest.raises(BundleError, match=next(iter(change))):
        read_manifest(copy)


def test_only_drawings_are_guided(copy: Path) -> None:
    edit(copy, "bundle.json", lambda body: body["decoding"]["report"].update(guidance=2.0))
    with pytest.raises(BundleError, match="guidance"):
        read_manifest(copy)
