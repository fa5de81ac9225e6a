"""Which Python the set-up takes."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.service import ROOT

FIND = ROOT / "requirements" / "find-python"


def command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def find(folder: Path, *names: str) -> "subprocess.CompletedProcess[str]":
    shell = ["/bin/sh", str(FIND), *names]
    return subprocess.run(shell, env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "python3").symlink_to(sys.executable)
    return tmp_path


def test_a_name_that_does_not_run_or_is_another_python_is_passed_over(path: Path) -> None:
    command(path, "python3.13", "echo 'no such version' >&2; exit 127")
    command(path, "python3.12", '[ "$2" ] || exit 0; echo "is Python 3.9" >&2; exit 1')
    done = find(path)
    assert done.stdout.strip() == str(path / "python3")


def test_the_newest_by_name_comes_first_and_a_given_one_alone(path: Path) -> None:
    command(path, "python3.13", "exit 0")
    command(path, "python3.11", "exit 0")
    assert find(path).stdout.strip() == str(path / "python3.13")
    assert find(path, "python3.11").stdout.strip() == str(path / "python3.11")
    assert find(path, str(path / "python3")).stdout.strip() == str(path / "python3")


def test_without_one_a_sentence_says_what_was_found(tmp_path: Path) -> None:
    command(tmp_path, "python3", '[ "$2" ] || exit 0; echo "is Python 3.9" >&2; exit 1')
    command(tmp_path, "python3.12", '[ "$2" ] || exit 0; echo "lacks the module ensurepip" >&2; exit 1')
    done = find(tmp_path)
    assert done.returncode == 2
    (sentence,) = done.stderr.splitlines()
    assert "python3.13 is not there, python3.12 lacks the module ensurepip, python3.11 is not there" in sentence
    assert "python3 is Python 3.9" in sentence
    assert "PYTHON=" in sentence


def test_the_versions_are_those_that_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    versions = "((3, 11), (3, 12), (3, 13))"
    assert versions in FIND.read_text()
    assert versions in (ROOT / "requirements" / "install.py").read_text()
