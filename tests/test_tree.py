"""The tree as a whole: files stay small. The directions of imports are import-linter's (`make lint`)."""

from pathlib import Path

import pytest

from tests.support.service import ROOT

_LONGEST = 250


@pytest.mark.parametrize("folder", ["app", "benchmarks", "models", "tests"])
def test_no_file_is_longer_than_250_lines(folder: str) -> None:
    def length(path: Path) -> int:
        return len(path.read_text().splitlines())

    assert not [path for path in sorted((ROOT / folder).rglob("*.py")) if length(path) > _LONGEST]
