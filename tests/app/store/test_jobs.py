"""What is counted of the jobs, and that it is counted from indices."""

import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.store.database import Database, database_url
from app.store.jobs import Jobs
from app.store.records import JobCounts
from app.store.tables import instances, jobs


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(database_url(None, tmp_path))


def job(name: str, state: str, created: float) -> dict[str, Any]:
    times = dict.fromkeys(("created", "updated", "last_received"), created)
    lists: dict[str, list[Any]] = {name: [] for name in ("steps", "skipped", "documents")}
    return {"id": name, "study_uid": name, "revision": 1, "state": state, "runs": 1, "attempts": 1, **times, **lists}


def instance(name: str, size: int, file: str | None) -> dict[str, Any]:
    texts = ("sop_class_uid", "study_uid", "series_uid", "transfer_syntax_uid", "modality", "sha256", "sender")
    rest = {"attributes": {}, "origin": "input", "received": 0.0}
    return {"sop_instance_uid": name, "bytes": size, "file": file, **dict.fromkeys(texts, "x"), **rest}


async def test_jobs_are_counted_by_state_and_the_oldest_is_of_those_that_are_open(database: Database) -> None:
    assert await Jobs(database).count() == JobCounts({}, None)
    with database.transaction() as connection:
        rows = [job("a", "done", 1.0), job("b", "running", 3.0), job("c", "running", 2.0), job("d", "failed", 0.5)]
        connection.execute(sa.insert(jobs), rows)
    counts = await Jobs(database).count()
    assert counts.by_state == {"done": 1, "running": 2, "failed": 1}
    assert counts.oldest_seconds == pytest.approx(time.time() - 2.0, abs=60.0)


async def test_held_bytes_are_those_of_files_that_are_still_there(database: Database) -> None:
    assert await Jobs(database).held_bytes() == 0
    with database.transaction() as connection:
        connection.execute(
            sa.insert(instances), [instance("1", 5, "f"), instance("2", 7, "g"), instance("3", 11, None)]
        )
    assert await Jobs(database).held_bytes() == 12
