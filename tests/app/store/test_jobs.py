"""What is counted of the jobs, and that it is counted from indices."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.store.database import Database, connect, database_url
from app.store.jobs import Jobs
from app.store.tables import held_files, instances, jobs


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(database_url(None, tmp_path))
    yield database
    database.close()


def job(name: str, state: str, created: float) -> dict[str, Any]:
    times = dict.fromkeys(("created", "updated", "last_received"), created)
    lists: dict[str, list[Any]] = {name: [] for name in ("steps", "skipped", "documents")}
    return {"id": name, "study_uid": name, "revision": 1, "state": state, "runs": 1, "attempts": 1, **times, **lists}


def instance(name: str, size: int, file: str | None) -> dict[str, Any]:
    texts = ("sop_class_uid", "study_uid", "series_uid", "transfer_syntax_uid", "modality", "sha256", "sender")
    rest = {"attributes": {}, "origin": "input", "received": 0.0}
    return {"sop_instance_uid": name, "bytes": size, "file": file, **dict.fromkeys(texts, "x"), **rest}


def test_jobs_are_counted_by_state_and_the_oldest_is_of_those_that_are_open(database: Database) -> None:
    assert Jobs(database).count() == ({}, None)
    with database.transaction() as connection:
        rows = [job("a", "done", 1.0), job("b", "running", 3.0), job("c", "running", 2.0), job("d", "failed", 0.5)]
        connection.execute(sa.insert(jobs), rows)
    assert Jobs(database).count() == ({"done": 1, "running": 2, "failed": 1}, 2.0)


def test_held_bytes_are_those_of_files_that_are_still_there(database: Database) -> None:
    assert Jobs(database).held_bytes() == 0
    with database.transaction() as connection:
        connection.execute(
            sa.insert(instances), [instance("1", 5, "f"), instance("2", 7, "g"), instance("3", 11, None)]
        )
    assert Jobs(database).held_bytes() == 12


def test_a_database_from_before_the_index_gets_it(tmp_path: Path) -> None:
    url = database_url(None, tmp_path)
    engine = connect(url)
    held_files.drop(engine)
    engine.dispose()
    engine = connect(url)
    names = {index["name"] for index in sa.inspect(engine).get_indexes(instances.name)}
    engine.dispose()
    assert held_files.name in names
