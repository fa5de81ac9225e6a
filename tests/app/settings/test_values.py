"""Values that no part of the service could use stop the start."""

import pytest
from pydantic import ValidationError

from app.settings import UnknownSettings, load_settings

# Every number of seconds or of a share, by the groups' own fields.
NUMBERS = [
    "CXR_IMAGING__TIMEOUT_SECONDS", "CXR_CODEC__MAX_WAIT_MS", "CXR_SCALE__START_SECONDS",
    "CXR_LIMITS__DEADLINE_SECONDS", "CXR_STUDY__QUIET_SECONDS", "CXR_ENGINE__PROBE_SECONDS",
    "CXR_DRAW__WATERMARK_STRENGTH", "CXR_DRAW__COPY_LIMIT",
]  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_a_number_is_finite(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CXR_SCALE__ENGINES", "3:1"),
        ("CXR_SCALE__ENGINES", "0"),
        ("CXR_SCALE__CODECS", "1:"),
        ("CXR_SCALE__ADDRESS", ""),
        ("CXR_CODEC__DEVICE", "banana"),
        ("CXR_CODEC__DEVICE", "cuda:"),
        ("CXR_ENGINE__DATA_PARALLEL_SIZE", "0"),
    ],
)
def test_what_is_out_of_bounds_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        load_settings()


@pytest.mark.parametrize("name", ["CXR_STATE_DIR", "CXR_BUNDLE", "CXR_DRAW__KEY", "CXR_TLS__CERTIFICATE"])
def test_an_empty_path_is_not_the_current_folder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    with pytest.raises(UnknownSettings, match=f"{name} is empty"):
        load_settings()


@pytest.mark.parametrize("value", ["1", "1:1", "2:64"])
def test_numbers_of_replicas_are_taken(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_SCALE__ENGINES", value)
    assert load_settings().scale.engines == value
