"""The locks: consistent with each other, and to be had from plain PyPI for every Python, file by file."""

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from requirements.pins import Pin, read_lock
from tests.support.service import ROOT

FOLDER = ROOT / "requirements"
SERVICE = ("cpu.txt", "torch-pypi.txt")
ALL = (*SERVICE, "dev.txt")
LOCKS = (*ALL, "torch-cpu.txt", "gpu.txt", "sbom.txt", "clients.txt")
PYTHONS = ("3.11", "3.12", "3.13")
# How PyPI is reached may come from outside; what is found there may not.
KEPT = {"PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT"}
UNREACHABLE = re.compile("NewConnectionError|NameResolutionError|ConnectTimeoutError|Network is unreachable")


def pins(*files: str) -> dict[str, Pin]:
    return {name: pin for file in files for name, pin in read_lock(FOLDER / file).items()}


def test_a_package_is_pinned_once() -> None:
    for files in (ALL, ("gpu.txt",), ("clients.txt",)):
        text = "".join((FOLDER / file).read_text() for file in files)
        names = re.findall("^[^ =]+(?===)", text, re.MULTILINE)
        assert len(names) == len(set(names)) == len(pins(*files))


@pytest.mark.parametrize("file", LOCKS)
def test_every_package_has_the_hashes_of_its_files_and_the_lock_names_no_index(file: str) -> None:
    assert pins(file)
    for line in (FOLDER / file).read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9._-]+==[^ ]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line


def test_both_builds_of_torch_are_of_the_version_that_the_project_names() -> None:
    version = pins("torch-pypi.txt")["torch"].version
    assert {name: pin.version for name, pin in pins("torch-cpu.txt").items()} == {"torch": f"{version}+cpu"}
    assert f'"torch=={version}"' in (ROOT / "pyproject.toml").read_text()
    assert f"torch=={version}\n" in (FOLDER / "overrides-cpu.txt").read_text()
    hashes = [set(pins(file)["torch"].line.split()[1:]) for file in ("torch-pypi.txt", "torch-cpu.txt")]
    assert len(hashes[1]) >= len(PYTHONS)
    assert not hashes[0] & hashes[1]


def test_what_writes_the_sbom_is_what_the_tests_use() -> None:
    assert pins("sbom.txt").items() <= pins(*ALL).items()


def test_nothing_of_a_gpu_is_in_what_both_builds_share() -> None:
    assert not [name for name in pins("cpu.txt") if name.startswith(("torch=", "nvidia-", "cuda-", "triton"))]


def test_the_gpu_lock_holds_the_vllm_that_the_project_names_and_no_client_that_calls_home() -> None:
    gpu = pins("gpu.txt")
    assert f'"vllm=={gpu["vllm"].version}"' in (ROOT / "pyproject.toml").read_text()
    assert gpu["torch"].version == pins("torch-pypi.txt")["torch"].version
    for file in ("overrides.txt", "overrides-cpu.txt"):
        left_out = re.findall(r"^([a-z-]+) ; sys_platform == \"never\"$", (FOLDER / file).read_text(), re.MULTILINE)
        assert left_out
        assert not pins(*ALL).keys() & set(left_out)
    assert not gpu.keys() & {"fastapi-cloud-cli", "fastapi-cli"}


def resolving(fresh: Path, version: str, files: tuple[str, ...], report: Path) -> "subprocess.Popen[str]":
    """pip at work on the locks for that Python. It would download everything if it were to check hashes itself."""
    report.with_suffix(".txt").write_text("".join(f"{name}=={pin.version}\n" for name, pin in pins(*files).items()))
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PIP_") or name in KEPT}
    command = [sys.executable, "-m", "pip", "--python", str(fresh), "install", "--dry-run", "--no-deps", "--quiet"]
    # With a target, wheels for another Python than the one that runs can be asked for.
    command += ["--only-binary", ":all:", "--python-version", version, "--target", str(fresh / "target")]
    command += ["--no-cache-dir", "--retries", "1", "-r", str(report.with_suffix(".txt")), "--report", str(report)]
    plain |= {"PIP_CONFIG_FILE": os.devnull}
    return subprocess.Popen(command, env=plain, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("files", [ALL, ("gpu.txt",), ("clients.txt",)], ids=["cpu", "gpu", "clients"])
def test_the_locks_resolve_from_plain_pypi_alone_to_files_whose_hashes_they_hold(
    files: tuple[str, ...], tmp_path: Path
) -> None:
    venv.create(tmp_path / "fresh", symlinks=True)
    reports = {version: tmp_path / f"{version}.json" for version in PYTHONS}
    work = {version: resolving(tmp_path / "fresh", version, files, path) for version, path in reports.items()}
    locked = pins(*files)
    for version, process in work.items():
        _, complaint = process.communicate(timeout=300)
        if process.returncode and UNREACHABLE.search(complaint):
            pytest.skip("PyPI cannot be reached from here")
        assert process.returncode == 0, f"Python {version}: {complaint[-3000:]}"
        found = json.loads(reports[version].read_text())["install"]
        assert len(found) == len(locked)
        for package in found:
            name = re.sub(r"[-_.]+", "-", package["metadata"]["name"]).lower()
            digest = package["download_info"]["archive_info"]["hashes"]["sha256"]
            assert f"--hash=sha256:{digest}" in locked[name].line, f"{name} for Python {version}"
    assert not list(tmp_path.rglob("*.whl"))
