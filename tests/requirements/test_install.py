"""The set-up: `requirements/install.py` on small packages of the test's own, with no index but a folder."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.service import ROOT

LINES = re.compile(r"(\d+) of (\d+) packages to install")
NAMES = [f"piece-{number}" for number in range(24)]


def wheel(folder: Path, name: str, version: str) -> str:
    """Write a wheel; returns its line in a lock. The same content has the same hash each time."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    files = {
        f"{name.replace('-', '_')}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,{len(text)}\n" for path, text in files.items())
    file = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"


class SetUp:
    """A project that has the set-up, its packages, and an environment to be."""

    def __init__(self, folder: Path, bare: Path) -> None:
        self.requirements, self.wheels, self.venv = folder / "requirements", folder / "wheels", folder / "venv"
        shutil.copytree(bare, self.venv, symlinks=True)
        self.requirements.mkdir()
        self.wheels.mkdir()
        for name in ("install.py", "pins.py"):
            shutil.copy(ROOT / "requirements" / name, self.requirements)
        for file, packages in {
            "cpu.txt": [(name, "1") for name in NAMES],
            "torch-cpu.txt": [("torch", "2.0+cpu")],
            "torch-pypi.txt": [("nvidia-part", "1"), ("torch", "2.0")],
            "dev.txt": [("tool", "1")],
        }.items():
            lines = [wheel(self.wheels, name, version) for name, version in packages]
            (self.requirements / file).write_text("".join(lines))
        self.offer("2.0")

    def offer(self, *versions: str) -> None:
        """Have these builds of torch in the index, and no others."""
        for path in self.wheels.glob("torch-*"):
            path.unlink()
        for version in versions:
            wheel(self.wheels, "torch", version)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-u", str(self.requirements / "install.py"), str(self.venv), "--packages-only"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}
        return subprocess.Popen(
            [*command, *arguments],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *arguments: str, status: int = 0) -> str:
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=180)
        assert process.returncode == status, said
        return said

    def versions(self) -> dict[str, str]:
        found = self.venv.glob("lib/python3*/site-packages/*.dist-info")
        pairs = [path.name.removesuffix(".dist-info").rsplit("-", 1) for path in found]
        return {name: version for name, version in pairs if name not in ("pip", "setuptools")}

    def site(self) -> Path:
        return next(self.venv.glob("lib/python3*/site-packages"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment as `venv` makes it, which takes some seconds."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder, with_pip=True, symlinks=True)
    return folder


@pytest.fixture
def set_up(tmp_path: Path, bare: Path) -> SetUp:
    return SetUp(tmp_path, bare)


def test_the_cpu_build_is_taken_where_pip_finds_it_and_a_second_run_does_nothing(set_up: SetUp) -> None:
    set_up.offer("2.0", "2.0+cpu")
    said = set_up.run()
    assert "PyTorch's CPU build" in said
    assert set_up.versions()["torch"] == "2.0+cpu"
    assert "nvidia_part" not in set_up.versions()
    assert "torch==2.0+cpu" in (set_up.venv / "lock.txt").read_text().split()
    assert set_up.run() == ""
    # Nor does it look again for another build once it has one.
    set_up.offer()
    assert "1 of 26 packages" in set_up.run("--dev")


def test_pypis_build_is_taken_with_what_it_needs_where_pip_finds_no_other_and_the_smaller_one_later(
    set_up: SetUp, tmp_path: Path
) -> None:
    said = set_up.run()
    before = said.partition(" packages, ")[0]
    assert "CUDA build" in before
    assert "PYTORCH_INDEX=" in before
    assert "GB of downloads" in before
    assert {"torch": "2.0", "nvidia_part": "1"}.items() <= set_up.versions().items()
    set_up.offer("2.0", "2.0+cpu")
    assert set_up.run() == ""
    set_up.run("--pytorch-index", tmp_path.as_uri())
    assert set_up.versions()["torch"] == "2.0+cpu"
    assert "nvidia_part" not in set_up.versions()


def test_an_index_without_the_build_and_a_pip_that_reaches_none_are_each_a_sentence(
    set_up: SetUp, tmp_path: Path
) -> None:
    said = set_up.run("--pytorch-index", tmp_path.as_uri(), status=2)
    assert said.splitlines()[-1].startswith(f"PYTORCH_INDEX={tmp_path.as_uri()} has no torch 2.0+cpu for Python 3.")
    set_up.offer()
    assert "does it reach a package index?" in set_up.run(status=2).splitlines()[-1]


def test_a_set_up_that_was_cut_off_goes_on_where_it_stopped(set_up: SetUp) -> None:
    process = set_up.start()
    assert process.stdout is not None
    for line in process.stdout:
        if re.match(r"  [1-9]\d* of 26 packages", line):
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert "torch" not in set_up.versions()
    found = LINES.search(set_up.run())
    assert found is not None
    assert 0 < int(found[1]) < 24
    assert len(set_up.versions()) == 26
    assert not (set_up.venv / "scratch").exists()


def test_packages_that_are_half_there_are_installed_anew_and_no_others(set_up: SetUp) -> None:
    set_up.run()
    (set_up.site() / "piece_1.py").unlink()
    record = set_up.site() / "piece_2-1.dist-info" / "RECORD"
    record.write_text("\n".join(line for line in record.read_text().splitlines() if "REQUESTED" not in line))
    shutil.rmtree(set_up.site() / "__pycache__")
    assert "2 of 26 packages to install" in set_up.run()
    assert (set_up.site() / "piece_1.py").exists()
    assert "REQUESTED" in record.read_text()


def test_a_lock_that_has_changed_changes_that_package(set_up: SetUp) -> None:
    set_up.run()
    lock = set_up.requirements / "cpu.txt"
    old, new = (wheel(set_up.wheels, "piece-7", version) for version in ("1", "2"))
    lock.write_text(lock.read_text().replace(old, new))
    assert "1 of 26 packages to install" in set_up.run()
    assert set_up.versions()["piece_7"] == "2"


def test_an_environment_that_is_half_made_is_made_anew_and_a_folder_of_something_else_is_left_alone(
    set_up: SetUp,
) -> None:
    shutil.rmtree(set_up.venv)
    set_up.venv.mkdir()
    (set_up.venv / "letter.txt").write_text("mine")
    assert "name another folder" in set_up.run(status=2)
    assert (set_up.venv / "letter.txt").exists()
    (set_up.venv / "letter.txt").unlink()
    (set_up.venv / "pyvenv.cfg").write_text("home = /nowhere\n")
    assert "unusable, made anew" in set_up.run()
    assert "torch" in set_up.versions()


def test_what_pip_refuses_is_shown(set_up: SetUp) -> None:
    next(set_up.wheels.glob("piece_3-*")).unlink()
    said = set_up.run(status=2)
    assert "No matching distribution found for piece-3==1" in said
    assert said.splitlines()[-1].startswith("The set-up stopped")


def test_a_file_that_is_not_the_locked_one_is_refused(set_up: SetUp) -> None:
    with zipfile.ZipFile(next(set_up.wheels.glob("piece_3-*")), "a") as archive:
        archive.writestr("piece_3_extra.py", "")
    said = set_up.run(status=2)
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in said
    assert "piece_3" not in set_up.versions()


@pytest.mark.parametrize("file", ["cpu.txt", "torch-pypi.txt"])
def test_a_lock_without_a_hash_is_refused_in_a_sentence_before_anything_is_installed(set_up: SetUp, file: str) -> None:
    lock = set_up.requirements / file
    name = lock.read_text().partition("==")[0]
    lock.write_text(re.sub(r" \\\n    --hash=\S+", "", lock.read_text(), count=1))
    said = set_up.run(status=2)
    assert said.splitlines()[-1] == f"{file} has no hash for {name}==1: `make lock` writes them."
    assert set_up.versions() == {}
