"""The command line: what it prints and how it ends."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.cli.client import Client
from app.dicom.sample import sample_dicom
from app.imaging import read_radiograph
from app.settings import ImagingSettings, Settings, load_settings
from tests.support.service import ROOT

RUN = CliRunner()


def test_verify_prints_a_table_for_a_good_bundle_and_a_sentence_with_status_2_for_a_bad_one(tmp_path: Path) -> None:
    good = RUN.invoke(app, ["verify", str(ROOT / "models" / "bundles" / "demo")])
    assert good.exit_code == 0
    assert "every SHA-256 as listed" in good.output
    bad = RUN.invoke(app, ["verify", str(tmp_path)])
    assert bad.exit_code == 2
    assert "bundle.json" in bad.output


def test_without_a_service_the_command_says_how_to_start_one(tmp_path: Path) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(sample_dicom())
    result = RUN.invoke(app, ["report", str(file), "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert "cxr serve" in result.output


@pytest.mark.parametrize("arguments", [("draw", "\udcff", "-o", "a.png"), ("ask", "FILE", "a\udcff")])
def test_a_text_that_is_not_utf_8_is_refused_in_words(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(sample_dicom())
    given = [str(file) if argument == "FILE" else argument for argument in arguments]
    result = RUN.invoke(app, [*given, "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert "UTF-8" in result.output


def test_a_drawing_needs_a_known_file_name_ending() -> None:
    result = RUN.invoke(app, ["draw", "Normal.", "-o", "drawing.gif"])
    assert result.exit_code == 2
    assert ".png" in result.output


@pytest.mark.parametrize(("options", "sent"), [([], None), (["--guidance", "2.5"], 2.5), (["--guidance", "1"], 1.0)])
def test_a_drawing_is_guided_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], sent: float | None
) -> None:
    seen: list[object] = []

    def draw(*_: object, **fields: object) -> tuple[bytes, dict[str, object]]:
        seen.append(fields["guidance_scale"])
        return b"x", {"seed": 7, "timings": {"total": 1.0}, "notice": "Draft."}

    monkeypatch.setattr(Client, "draw", draw)
    result = RUN.invoke(app, ["draw", "Normal.", "-o", str(tmp_path / "a.png"), *options])
    assert (result.exit_code, seen) == (0, [sent])


def test_a_scale_of_guidance_out_of_bounds_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["draw", "Normal.", "-o", str(tmp_path / "a.png"), "--guidance", "11"])
    assert result.exit_code == 2
    assert "guidance" in result.output


@pytest.mark.parametrize(
    ("agrees", "told"), [(True, "read back: Normal chest.\n"), (False, "(not the condition that was asked for)")]
)
def test_the_best_of_several_is_asked_for_and_what_was_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agrees: bool, told: str
) -> None:
    seen: list[object] = []
    image = {
        "b64_json": "eA==",
        "seed": 7,
        "reading": {"text": "Normal\nchest.", "agrees": agrees},
        "nearest": {"similarity": 0.712, "limit": 0.864, "training_image": 3},
    }

    def post(*_: object, json: dict[str, object]) -> dict[str, object]:
        seen.append(json.get("best_of"))
        return {"data": [dict(image)], "timings": {"total": 1.0}, "notice": "Draft."}

    monkeypatch.setattr(Client, "_post", post)
    result = RUN.invoke(app, ["draw", "Normal.", "-o", str(tmp_path / "a.png"), "--best-of", "4"])
    assert (result.exit_code, seen, (tmp_path / "a.png").read_bytes()) == (0, [4], b"x")
    assert told in result.output
    assert "nearest training film: 0.71 of at most 0.86" in result.output
    del image["reading"], image["nearest"]
    result = RUN.invoke(app, ["draw", "Normal.", "-o", str(tmp_path / "a.png")])
    assert (result.exit_code, seen) == (0, [4, None])
    assert "read back" not in result.output
    assert "nearest" not in result.output


@pytest.mark.parametrize("number", ["0", "9", "x"])
def test_a_number_of_candidates_out_of_bounds_is_refused_before_anything_is_asked(tmp_path: Path, number: str) -> None:
    result = RUN.invoke(app, ["draw", "Normal.", "-o", str(tmp_path / "a.png"), "--best-of", number])
    assert result.exit_code == 2
    assert "best-of" in result.output


@pytest.mark.parametrize("name", ["none/a.png", "folder.png", "file/a.png", "closed/a.png"])
def test_a_drawing_that_cannot_be_written_is_not_drawn(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "closed").mkdir()
    (tmp_path / "file").touch()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "closed" not in str(path) and may(path, mode))
    monkeypatch.setattr(Client, "draw", lambda *_, **__: pytest.fail("drawn"))
    result = RUN.invoke(app, ["draw", "Normal.", "-o", str(tmp_path / name)])
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert name in result.output


def test_a_drawing_that_is_lost_while_it_is_written_is_a_sentence_with_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Client, "draw", lambda *_, **__: (b"x", {"seed": 7}))
    monkeypatch.setattr(Path, "write_bytes", full)
    result = RUN.invoke(app, ["draw", "Normal.", "-o", str(tmp_path / "a.png")])
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "No space left on device. The drawing with seed 7" in result.output


@pytest.mark.parametrize("command", [["report"], ["ask"]])
@pytest.mark.parametrize(
    "option", [["--url", "http://[::1"], ["--url", "127.0.0.1:9"], ["--url", "http://a b"], ["--key", "schlüssel"]]
)
def test_an_address_or_key_that_is_none_is_a_sentence(tmp_path: Path, command: list[str], option: list[str]) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(sample_dicom())
    asked = ["What is this?"] if command == ["ask"] else []
    result = RUN.invoke(app, [*command, str(file), *asked, *option])
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)


def test_a_radiograph_that_cannot_be_read_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.dcm"
    file.touch()

    def gone(path: Path) -> bytes:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(Path, "read_bytes", gone)
    result = RUN.invoke(app, ["report", str(file)])
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "Input/output error" in result.output


def test_settings_that_are_not_valid_are_listed_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_PORT", "many")
    monkeypatch.setenv("CXR_ENGINE__MAX_NUM_SEQS", "-1")
    result = RUN.invoke(app, ["serve"])
    assert result.exit_code == 2
    assert "CXR_PORT" in result.output
    assert "CXR_ENGINE__MAX_NUM_SEQS" in result.output


def test_a_settings_file_is_read_the_environment_beats_it_and_unknown_names_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cxr.toml"
    file.write_text("port = 9000\n[codec]\nmax_batch = 3\n")
    monkeypatch.setenv("CXR_CODEC__MAX_BATCH", "5")
    settings = load_settings(file)
    assert (settings.port, settings.codec.max_batch) == (9000, 5)
    file.write_text("prot = 9000\n")
    with pytest.raises(ValueError, match="prot"):
        load_settings(file)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


def test_the_sample_is_a_dicom_chest_radiograph_that_reads_without_warnings() -> None:
    image = read_radiograph(sample_dicom(), ImagingSettings(), 256)
    assert image.warnings == ()
    assert image.dicom is not None
    assert image.dicom.photometric_interpretation == "MONOCHROME1"


@pytest.mark.parametrize("looked", [True, False])
def test_the_mark_of_a_picture_is_told_with_its_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked: bool
) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    mark = {"watermark": {"green": 190, "codes": 256, "p_value": 1.4e-15}} if looked else {}
    monkeypatch.setattr(Client, "_post", lambda *_, **__: {"statement": "It is in the picture.", **mark})
    result = RUN.invoke(app, ["watermark", str(tmp_path / "a.png")])
    assert result.exit_code == 0
    assert "It is in the picture." in result.output
    assert ("190 of 256 codes are green, p = 1.4e-15" in result.output) == looked
