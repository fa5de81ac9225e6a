"""docs/architecture.md and the README's tree name only what is there, and every folder of the service."""

import re
from pathlib import Path

import pytest

from tests.support.service import ROOT

_PATH = re.compile(r"(?<![\w./-])(?:app|models|benchmarks|tests|deploy|docs)/[\w./-]*\w")
_PAGES = ("docs/architecture.md", "README.md", "docs/operations.md", "docs/training.md", "docs/clients.md")


@pytest.mark.parametrize("page", _PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    named = set(_PATH.findall((ROOT / page).read_text()))
    assert [path for path in sorted(named) if "NAME" not in path and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "README.md"])
def test_the_tree_has_twelve_lines_and_names_every_folder_of_the_service(page: str) -> None:
    blocks = re.findall(r"```\n(app/cli .*?)```", (ROOT / page).read_text(), re.S)
    assert len(blocks) == 1
    assert len(blocks[0].strip().splitlines()) == 12
    named = {Path(path).parts[1] for path in re.findall(r"app/[\w.]+", blocks[0])}
    folders = {path.name for path in (ROOT / "app").iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert folders - named == {"settings", "telemetry"}  # the floor under all


def test_the_ten_questions_are_answered() -> None:
    rows = re.findall(r"(?m)^\| where .*?\|.*`.*\|$", (ROOT / "docs" / "architecture.md").read_text())
    assert len(rows) == 10
