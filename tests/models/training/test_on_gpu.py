"""Training on another machine: what goes there, what comes back. A script stands in for ssh."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.bundle import load
from tests.support.service import ROOT
from tests.support.training import write_data

SCRIPT = ROOT / "models" / "training" / "on-gpu"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The tiny recipe, and an ssh whose machine is the folder `there`."""
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    (tmp_path / "there").mkdir()
    ssh.write_text(f'#!/bin/sh\n[ "$1" = gpu ] || exit 9\ncd "{tmp_path}/there" && exec sh -c "$2"\n')
    ssh.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{ssh.parent}:{os.environ['PATH']}",
        "CXR": f"{sys.executable} -m app.cli",
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "RECIPE": "tiny",
        "MINUTES": "0.05",
        "SIZE": "64",
        "OMP_NUM_THREADS": "1",
    }


def test_a_machine_trains_and_its_bundle_comes_back(tmp_path: Path, environment: dict[str, str]) -> None:
    manifest = write_data(tmp_path / "data", 20)
    subprocess.run([SCRIPT, manifest, tmp_path / "out", "gpu"], env=environment, check=True)
    assert load(tmp_path / "out" / "bundle").manifest.label == "tiny-0"
    assert list((tmp_path / "out" / "out" / "samples").glob("vqgan-*.png"))
    assert "steps fit the time" in (tmp_path / "out" / "train.log").read_text()
    assert (tmp_path / "there" / ".llm-cxr-training" / "models" / "training").is_dir()


def test_a_failure_there_is_one_here_and_leaves_the_log(tmp_path: Path, environment: dict[str, str]) -> None:
    manifest = write_data(tmp_path / "data", 20)
    broken = {**environment, "RECIPE": "nano"}
    done = subprocess.run([SCRIPT, manifest, tmp_path / "out", "gpu"], env=broken, check=False)
    assert done.returncode != 0
    assert "there is no recipe nano" in (tmp_path / "out" / "train.log").read_text()
