"""A bundle is written beside its place and put there when it is whole."""

from pathlib import Path

import pytest

from models.bundle import DecodingDefaults, load
from models.bundle.random import Geometry, make_bundle
from models.bundle.writer import BundleWriter, replace_card


def test_a_stopped_run_of_the_same_source_is_continued_and_no_other(tmp_path: Path) -> None:
    source = tmp_path / "weights.bin"
    source.write_bytes(b"x")
    writer = BundleWriter(tmp_path / "b", resume="a")
    writer.text("x", "hello")
    writer.finish(source, {})
    assert BundleWriter(tmp_path / "b", resume="a").finished(source) == {}
    assert BundleWriter(tmp_path / "b", resume="b").finished(source) is None
    (writer.folder / "x").write_text("cut")
    assert BundleWriter(tmp_path / "b", resume="a").finished(source) is None


def test_without_a_source_to_resume_a_run_begins_with_an_empty_folder(tmp_path: Path) -> None:
    BundleWriter(tmp_path / "b").text("left", "by a run that was killed")
    assert not list(BundleWriter(tmp_path / "b").folder.iterdir())


def test_a_bundle_that_exists_is_replaced_only_where_that_is_asked(tmp_path: Path) -> None:
    bundle = load(make_bundle(tmp_path / "b", Geometry(hidden=32, layers=1, heads=1)))
    facts = {"version": "2", "licence": "CC0-1.0", "intended_use": "tests", "card": "None.\n"}

    def written() -> BundleWriter:
        writer = BundleWriter(bundle.path)
        for file in ("config.json", "model.safetensors"):
            (writer.vqgan_folder).mkdir(exist_ok=True)
            (writer.vqgan_folder / file).write_bytes((bundle.vqgan / file).read_bytes())
        writer.tokenizer(bundle.vocabulary.tokenizer)
        writer.text("llm/config.json", (bundle.llm / "config.json").read_text())
        for file in bundle.llm.glob("*.safetensors"):
            writer.content(f"llm/{file.name}", file.read_bytes())
        return writer

    with pytest.raises(OSError, match="not empty"):
        written().publish(name="new", vocabulary=bundle.vocabulary, decoding=DecodingDefaults(), **facts)
    assert load(bundle.path).manifest == bundle.manifest
    written().publish(name="new", vocabulary=bundle.vocabulary, decoding=DecodingDefaults(), replace=True, **facts)
    assert load(bundle.path).manifest.label == "new-2"


def test_a_replaced_card_keeps_the_bundle_whole(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "b", Geometry(hidden=32, layers=1, heads=1))
    replace_card(folder, "# Measured\n")
    load(folder)
    assert (folder / "MODEL_CARD.md").read_text() == "# Measured\n"
