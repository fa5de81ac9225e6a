"""The locks: consistent with each other, and to be had from plain PyPI for every Python."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.service import ROOT

FOLDER = ROOT / "requirements"
SERVICE = ("cpu.txt", "torch-pypi.txt")
ALL = (*SERVICE, "dev.txt")
# How PyPI is reached may come from outside; what is found there may not.
KEPT = {"PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT"}
UNREACHABLE = re.compile("NewConnectionError|NameResolutionError|ConnectTimeoutError|Network is unreachable")


def pins(*files: str) -> list[list[str]]:
    return [line.split("==") for file in files for line in (FOLDER / file).read_text().split()]


def test_a_package_is_pinned_once() -> None:
    names = [name for name, _ in pins(*ALL)]
    assert len(names) == len(set(names))


def test_both_builds_of_torch_are_of_the_version_that_the_project_names() -> None:
    version = dict(pins("torch-pypi.txt"))["torch"]
    assert pins("torch-cpu.txt") == [["torch", f"{version}+cpu"]]
    assert f'"torch=={version}"' in (ROOT / "pyproject.toml").read_text()
    assert f"torch=={version}\n" in (FOLDER / "overrides.txt").read_text()


def test_nothing_of_a_gpu_is_in_what_both_builds_share() -> None:
    assert not [name for name, _ in pins("cpu.txt") if name.startswith(("torch=", "nvidia-", "cuda-", "triton"))]


def resolving(fresh: Path, version: str) -> "subprocess.Popen[str]":
    """pip at work on all locks for that Python."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PIP_") or name in KEPT}
    command = [sys.executable, "-m", "pip", "--python", str(fresh), "install", "--dry-run", "--no-deps"]
    # With a target, wheels for another Python than the one that runs can be asked for.
    command += ["--only-binary", ":all:", "--python-version", version, "--target", str(fresh / "target")]
    command += ["--no-cache-dir", "--retries", "1", *(word for file in ALL for word in ("-r", str(FOLDER / file)))]
    plain |= {"PIP_CONFIG_FILE": os.devnull}
    return subprocess.Popen(command, env=plain, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.network
def test_the_locks_resolve_in_a_fresh_environment_that_knows_plain_pypi_alone(tmp_path: Path) -> None:
    venv.create(tmp_path / "fresh", symlinks=True)
    work = {version: resolving(tmp_path / "fresh", version) for version in ("3.11", "3.12", "3.13")}
    for version, process in work.items():
        said, complaint = process.communicate(timeout=300)
        if process.returncode and UNREACHABLE.search(complaint):
            pytest.skip("PyPI cannot be reached from here")
        assert process.returncode == 0, f"Python {version}: {complaint[-3000:]}"
        assert len(said.rpartition("Would install ")[2].split()) == len(pins(*ALL))
    assert not list(tmp_path.rglob("*.whl"))
