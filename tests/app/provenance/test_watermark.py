"""The watermark's key: the operator's, or the installation's own, kept and readable by nobody else."""

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.provenance.watermark import watermark_of
from app.settings import DrawSettings


def test_an_installation_makes_a_key_once_that_only_it_reads(tmp_path: Path) -> None:
    first = watermark_of(DrawSettings(), tmp_path)
    assert watermark_of(DrawSettings(), tmp_path) == first
    assert stat.S_IMODE((tmp_path / "watermark.key").stat().st_mode) == 0o600
    assert watermark_of(DrawSettings(), tmp_path / "other").key != first.key


def test_an_operators_key_is_taken_and_no_file_is_made(tmp_path: Path) -> None:
    found = watermark_of(DrawSettings(watermark_key="sixteen letters!", watermark_strength=2.5), tmp_path)
    assert (found.key, found.strength) == (b"sixteen letters!", 2.5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong", [{"watermark_key": "too short"}, {"watermark_strength": -1}, {"watermark_strength": 11}]
)
def test_a_key_that_can_be_guessed_and_strengths_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DrawSettings(**wrong)
