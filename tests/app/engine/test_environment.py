"""The environment of the engine's process."""

import os
from pathlib import Path

import pytest

from app.engine import environment
from app.engine.environment import engine_environment, processor
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


EPYC = "processor: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse avx2\ncpu MHz: 2000\n"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (EPYC.replace("2000", "2900"), True),
        (EPYC.replace("sse avx2", "avx2 sse"), True),
        (EPYC + EPYC, True),
        (EPYC.replace("avx2", "avx2 avx512f"), False),
        (EPYC.replace("EPYC", "EPYC 9654"), False),
        ("processor: 0\nFeatures: fp asimd\nCPU part: 0xd0c\n", False),
        ("", False),
    ],
)
def test_compiled_code_is_kept_apart_by_what_the_processor_can_do(
    other: str, same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_CPUINFO", tmp_path / "cpuinfo")
    environment._CPUINFO.write_text(EPYC)
    first = processor()
    environment._CPUINFO.write_text(other)
    assert (processor() == first) is same


def test_a_system_without_proc_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_CPUINFO", tmp_path / "none")
    assert len(processor()) == 12
