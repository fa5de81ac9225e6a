"""The environment of the engine's process."""

import os
from pathlib import Path

import pytest

from app.engine.environment import engine_environment
from app.settings import EngineSettings

CACHES = ("VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "FLASHINFER_WORKSPACE_BASE", "HF_HOME")


def test_every_cache_lies_below_the_states_and_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CACHES:
        monkeypatch.delenv(name, raising=False)
    with engine_environment(EngineSettings(), tmp_path / "cache", tmp_path):
        assert all(Path(os.environ[name]).is_relative_to(tmp_path / "cache") for name in CACHES)
    assert not [name for name in CACHES if name in os.environ]


def test_what_the_user_has_set_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", "/elsewhere")
    with engine_environment(EngineSettings(), tmp_path / "cache", tmp_path):
        assert os.environ["TRITON_CACHE_DIR"] == "/elsewhere"
    assert os.environ["TRITON_CACHE_DIR"] == "/elsewhere"
