"""What the machine refuses is a line, whatever the command."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app


def cxr(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "app.cli", *arguments]
    path = str(Path(__file__).parents[3])
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _file(folder: Path) -> Path:
    (folder / "state").write_text("")
    return folder / "state"


@pytest.mark.parametrize("place", [_file, lambda _: Path("/proc/x")])
def test_a_state_folder_that_cannot_be_is_one_line(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    found = cxr("keys", "list", "--state-dir", str(place(tmp_path)), cwd=tmp_path)
    assert found.returncode == 1
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr


def test_an_empty_state_folder_is_not_the_current_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    found = cxr("keys", "list", cwd=tmp_path, CXR_STATE_DIR="")
    assert found.returncode == 2
    assert "CXR_STATE_DIR is empty" in found.stderr
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["{bad", "[]", "", None])
def test_a_damaged_file_of_keys_is_one_line(tmp_path: Path, content: str | None) -> None:
    keys = tmp_path / "keys.json"
    if content is None:
        keys.mkdir()
    else:
        keys.write_text(content)
    result = CliRunner().invoke(app, ["keys", "list", "--state-dir", str(tmp_path)])
    assert result.exit_code == 2, result.output
    assert "The file of API keys cannot be read" in " ".join(result.output.split())


@pytest.mark.parametrize("name", ["[red]x[/red] [/b] ü", "[/]", "[link=x]", "\\[bold]"])
def test_a_key_of_any_name_is_listed_as_it_was_named(tmp_path: Path, name: str) -> None:
    made = CliRunner().invoke(app, ["keys", "create", name, "--scope", "infer", "--state-dir", str(tmp_path)])
    assert made.exit_code == 0, made.output
    # In a process of its own, which has a width of its own.
    listed = cxr("keys", "list", "--state-dir", str(tmp_path), cwd=tmp_path, COLUMNS="200", PYTHONUTF8="1")
    assert listed.returncode == 0, listed.stderr
    assert name in listed.stdout
