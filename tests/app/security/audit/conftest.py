"""An audit log in an empty folder, and a repository to send it to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.security.audit import export as export_module
from tests.support.certificates import Authority
from tests.support.repository import Repository


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is written."""
    return tmp_path / "audit" / "audit.jsonl"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who certifies the repository."""
    return Authority(tmp_path)


@pytest.fixture
def repository(authority: Authority) -> Iterator[Repository]:
    """A repository that listens."""
    with Repository(authority.issue()) as found:
        yield found


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """An export that tries again at once."""
    monkeypatch.setattr(export_module, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(export_module, "_LONGEST_WAIT", 0.2)
    monkeypatch.setattr(export_module, "_LOOK_SECONDS", 0.1)
    monkeypatch.setattr(export_module, "_CLOSE_SECONDS", 1.0)
