"""The optional part `screen/` of a bundle."""

import json
import shutil
from pathlib import Path

import pytest

from models.bundle import BundleError, load, read_manifest
from models.bundle.check import smoke
from models.bundle.manifest import weights_digest
from models.bundle.screen import HEADING, add_screen, section, with_section
from models.screen.config import ScreenConfig, TrainingSource
from models.screen.screen import Screen
from tests.models.bundle.test_bundle import DEMO, edit, reseal
from tests.support.screens import noise, tiny_screen


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The embedded bundle without a screen."""
    copy = Path(shutil.copytree(DEMO, tmp_path / "bundle", ignore=shutil.ignore_patterns("screen")))
    reseal(copy)
    return copy


@pytest.fixture
def screened(bundle: Path, tmp_path: Path) -> Path:
    """The same with a tiny screen."""
    tiny_screen().save(tmp_path / "trained")
    add_screen(bundle, tmp_path / "trained")
    return bundle


def test_a_bundle_without_a_screen_is_valid(bundle: Path) -> None:
    assert load(bundle).screen is None


def test_an_added_screen_is_listed_loads_and_leaves_the_other_parts_alone(bundle: Path, tmp_path: Path) -> None:
    before = read_manifest(bundle)
    tiny_screen().save(tmp_path / "trained")
    add_screen(bundle, tmp_path / "trained")
    found = load(bundle)
    assert found.screen == bundle / "screen"
    assert len(Screen.load(found.screen).look(noise())) == 3
    kept = {name: entry for name, entry in found.manifest.files.items() if name.startswith(("llm/", "vqgan/"))}
    assert kept == {name: entry for name, entry in before.files.items() if name.startswith(("llm/", "vqgan/"))}
    assert weights_digest(found.manifest) == weights_digest(before)
    assert HEADING in (bundle / "MODEL_CARD.md").read_text()
    assert [one.name for one in tmp_path.iterdir() if "bundle" in one.name] == ["bundle"]


def test_another_screen_takes_the_place_of_the_first(screened: Path, tmp_path: Path) -> None:
    first = read_manifest(screened).files["screen/model.safetensors"]
    tiny_screen(1).save(tmp_path / "other")
    add_screen(screened, tmp_path / "other")
    assert read_manifest(screened).files["screen/model.safetensors"] != first
    assert (screened / "MODEL_CARD.md").read_text().count(HEADING) == 1


def test_a_bundle_that_is_damaged_gets_no_screen(bundle: Path, tmp_path: Path) -> None:
    tiny_screen().save(tmp_path / "trained")
    (bundle / "llm" / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError):
        add_screen(bundle, tmp_path / "trained")
    assert not (bundle / "screen").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_half_a_screen_is_refused(screened: Path, name: str) -> None:
    (screened / "screen" / name).unlink()
    reseal(screened)
    with pytest.raises(BundleError, match=rf"screen/{name} is missing"):
        load(screened)


def test_a_screen_of_unknown_settings_is_refused(screened: Path) -> None:
    edit(screened, "screen/config.json", lambda body: body.update(eyes=3))
    reseal(screened)
    with pytest.raises(BundleError, match="not a screen's configuration"):
        load(screened)


def test_a_screen_that_says_it_is_larger_than_its_weights_is_refused(screened: Path) -> None:
    edit(screened, "screen/config.json", lambda body: body.update(channels=[8, 1024], hidden=4096))
    reseal(screened)
    with pytest.raises(BundleError, match="larger than its weight files"):
        load(screened)


def test_a_flipped_byte_in_the_screen_is_found(screened: Path) -> None:
    file = screened / "screen" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(BundleError, match=r"screen/model\.safetensors: its SHA-256 differs"):
        load(screened)


def test_the_smoke_test_looks_at_a_picture_too(screened: Path) -> None:
    assert "frontal with" in smoke(load(screened))["looked"]


def test_the_smoke_test_names_a_screen_whose_weights_are_of_other_sizes(screened: Path) -> None:
    edit(screened, "screen/config.json", lambda body: body.update(hidden=9))
    reseal(screened)
    with pytest.raises(BundleError, match="the screen does not run"):
        smoke(load(screened))


def test_the_card_lists_every_source_with_its_licence() -> None:
    source = TrainingSource(source="shop", kind="lateral", pictures=3, licence="CC0-1.0", attribution="a shop")
    text = section(ScreenConfig(sources=(source,)))
    assert "| shop | lateral | 3 | CC0-1.0 | a shop |" in text
    assert "Not measured yet" in text


def test_the_section_comes_before_the_commands_and_is_replaced() -> None:
    card = "# Card\n\n## Reproduce\ncommands\n"
    once = with_section(card, f"{HEADING}\nfirst")
    assert once == f"# Card\n\n{HEADING}\nfirst\n\n## Reproduce\ncommands\n"
    assert with_section(once, f"{HEADING}\nsecond") == once.replace("first", "second")
    assert with_section("", f"{HEADING}\nfirst") == f"{HEADING}\nfirst\n"


def test_the_configuration_on_disk_is_plain_json(screened: Path) -> None:
    assert json.loads((screened / "screen" / "config.json").read_text())["side"] == 32
