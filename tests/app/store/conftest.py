"""Databases of both kinds, empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.database import Database, create_engine, database_url
from tests.support.postgres import postgresql


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgresql() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return database_url(None, tmp_path)
    found = database_url(request.getfixturevalue("server"), tmp_path)
    engine = create_engine(found)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """One with this release's schema."""
    made = Database(url)
    yield made
    made.close()
