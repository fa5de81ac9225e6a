"""The command line: what it prints and how it ends."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
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


def test_a_drawing_needs_a_known_file_name_ending() -> None:
    result = RUN.invoke(app, ["draw", "Normal.", "-o", "drawing.gif"])
    assert result.exit_code == 2
    assert ".png" in result.output


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
