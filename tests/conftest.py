"""Fixtures that several tests share."""

import gc
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from tests.support.ingest import Held
from tests.support.service import Service, running


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CXR_")]:
        monkeypatch.delenv(name)
    # An application points it at its state folder, which is another test's next time.
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that write to a temporary folder."""
    return Settings(state_dir=tmp_path / "state")


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    """The application on fakes, ready."""
    async with running(settings) as started:
        yield started


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    """An ingestor on an empty database, started."""
    made = Held(tmp_path)
    made.ingestor.start()
    yield made
    made.close()


@pytest.fixture
def failed_connections() -> Iterator[None]:
    """Collects the sockets that pynetdicom leaves within the test that made them (`tests/support/connections.py`)."""
    yield
    gc.collect()
