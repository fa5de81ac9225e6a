"""A service that takes studies, on both kinds of databases."""

import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.support.postgres import postgresql
from tests.support.service import Service, running
from tests.support.studies import quick


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgresql() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else request.getfixturevalue("server")


@pytest.fixture
async def pacs(settings: Settings, url: str | None) -> AsyncIterator[Service]:
    documents = ("basic_text", "measurement", "capture")
    changed = quick(settings, documents=documents).model_copy(update={"database_url": url and SecretStr(url)})
    if url is not None:
        empty = "DROP SCHEMA IF EXISTS dbos CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        subprocess.run(["psql", url, "-qc", empty], check=True, capture_output=True)
    async with running(changed, durable=True) as started:
        yield started
