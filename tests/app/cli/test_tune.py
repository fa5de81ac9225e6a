"""`cxr tune`: kernels are timed one after the other, each in a process of its own."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from app.cli import app, tune
from app.engine.attention import Geometry, chosen
from tests.support.service import ROOT

RUN = CliRunner()
BUNDLE = ROOT / "models" / "bundles" / "demo"
HEADS = Geometry(card="NVIDIA H200", vllm="0.32.0", head_size=80, heads=32, key_value_heads=32, dtype="bfloat16")
# By kernel; None is vLLM's choice.
SECONDS: dict[str | None, float] = {None: 0.03, "TRITON_ATTN": 0.02, "FLASH_ATTN": 0.03}


def run(command: list[str], seconds: float) -> tuple[int, str, str]:
    """A timing of the kernels of SECONDS; others end with an error."""
    kernel = command[command.index("--kernel") + 1] if "--kernel" in command else None
    if kernel not in SECONDS:
        return 1, "", "Traceback\nValueError: head size 80 is not supported\n\n"
    told = json.dumps({"geometry": HEADS.model_dump(), "seconds": dict.fromkeys((1, 32, 64), SECONDS[kernel])})
    return 0, f"a line of vLLM's\n{told}\n", ""


def test_the_fastest_kernel_is_kept_and_those_that_do_not_run_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "run_alone", run)
    result = RUN.invoke(app, ["tune", "--bundle", str(BUNDLE), "--state-dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "uses TRITON_ATTN from its next start" in result.output
    assert "FLASHINFER does not run here: ValueError: head size 80" in " ".join(result.output.split())
    assert chosen(tmp_path / "cache", HEADS) == "TRITON_ATTN"


def test_on_a_cpu_there_is_nothing_to_choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"geometry": {**HEADS.model_dump(), "card": "cpu"}, "seconds": {1: 0.1}}
    monkeypatch.setattr(tune, "run_alone", lambda *_: (0, json.dumps(told), ""))
    result = RUN.invoke(app, ["tune", "--bundle", str(BUNDLE), "--state-dir", str(tmp_path)])
    assert (result.exit_code, "one attention kernel" in result.output) == (1, True)
    assert not (tmp_path / "cache" / "attention.json").exists()


def test_where_vllm_does_not_run_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "run_alone", lambda *_: (1, "", ""))
    result = RUN.invoke(app, ["tune", "--bundle", str(BUNDLE), "--state-dir", str(tmp_path), "--kernel", "X"])
    assert result.exit_code == 1
    assert "does not run here: status 1" in " ".join(result.output.split())
    assert not (tmp_path / "cache" / "attention.json").exists()


def test_a_timing_that_does_not_end_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], seconds: float) -> tuple[int, str, str]:
        if "--kernel" in command:
            raise subprocess.TimeoutExpired(command, seconds)
        return run(command, seconds)

    monkeypatch.setattr(tune, "run_alone", hang)
    result = RUN.invoke(app, ["tune", "--bundle", str(BUNDLE), "--state-dir", str(tmp_path), "--kernel", "X"])
    assert result.exit_code == 0
    assert "has not ended" in result.output
    assert "vLLM's choice from its next start" in " ".join(result.output.split())


@pytest.mark.parametrize("waits", [0, 60])
def test_no_process_of_a_timing_outlives_it(waits: int, tmp_path: Path) -> None:
    told = tmp_path / "child"
    child = "subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)"
    told_by = f"pathlib.Path({str(told)!r}).write_text(str({child}.pid))"
    command = [sys.executable, "-c", f"import pathlib, subprocess, time; {told_by}; time.sleep({waits})"]
    if waits:
        with pytest.raises(subprocess.TimeoutExpired):
            tune.run_alone(command, 5)
    else:
        assert tune.run_alone(command, 30) == (0, "", "")
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(told.read_text())).wait(10)


def test_no_process_of_a_timing_outlives_a_command_that_is_terminated(tmp_path: Path) -> None:
    told = tmp_path / "timing"
    timing = f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(60)"
    script = f"import sys; from app.cli.tune import run_alone; run_alone([sys.executable, '-c', {timing!r}], 60)"
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) as command:
        until = time.monotonic() + 30
        while not told.exists() or not told.read_text():
            assert time.monotonic() < until
            time.sleep(0.05)
        command.terminate()
        assert command.wait(10) == 128 + signal.SIGTERM
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(told.read_text())).wait(10)


def test_the_bundle_and_the_engine_that_are_asked_for_are_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(BUNDLE, tmp_path / "other")
    commands: list[list[str]] = []

    def noted(command: list[str], seconds: float) -> tuple[int, str, str]:
        commands.append(command)
        return run(command, seconds)

    monkeypatch.setattr(tune, "run_alone", noted)
    monkeypatch.setenv("CXR_ENGINE__TENSOR_PARALLEL_SIZE", "2")
    monkeypatch.setenv("CXR_ENGINE__QUANTIZATION", "fp8_per_tensor")
    result = RUN.invoke(app, ["tune", "--bundle", str(other), "--state-dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for command in commands:
        assert str(other / "llm") in command
        assert command[command.index("--tensor-parallel-size") + 1] == "2"
        assert command[command.index("--quantization") + 1] == "fp8_per_tensor"
    missing = RUN.invoke(app, ["tune", "--bundle", str(tmp_path / "none"), "--state-dir", str(tmp_path)])
    assert (missing.exit_code, "bundle.json" in missing.output) == (2, True)


def test_timings_that_cannot_be_kept_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "run_alone", run)
    (tmp_path / "cache" / "attention.json").mkdir(parents=True)
    result = RUN.invoke(app, ["tune", "--bundle", str(BUNDLE), "--state-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "TRITON_ATTN" in result.output
    assert "cannot be kept in the state folder" in " ".join(result.output.split())
