"""Workflows of the first release are read once, as plain values; what is more than that is ended, and never run."""

import base64
import json
import pickle
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from dbos._sys_db import SystemDatabase

from app.jobs.serialization import PLAIN_JSON
from app.store.database import Database, create_engine
from app.store.workflow_rows import end_unreadable
from tests.support.first_release import Code, forget_migration, pickled, tables

INPUTS = pickled({"args": ("a1b2", None), "kwargs": {"trace": "00-1"}})
NAMES = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs", "workflow_events")


def _make_tables(url: str) -> None:
    system = SystemDatabase.create(
        system_database_url=url, engine_kwargs={}, engine=None, schema="dbos", serializer=PLAIN_JSON, executor_id=None
    )
    system.run_migrations()
    system.destroy()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with DBOS's tables alone: making them takes many syncs."""
    path = tmp_path_factory.mktemp("template") / "cxr.sqlite"
    _make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture
def older(url: str, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """A database from before the migration, with DBOS's tables, empty."""
    if url.startswith("sqlite"):
        shutil.copyfile(request.getfixturevalue("template"), str(sa.make_url(url).database))
    engine = create_engine(url)
    if not sa.inspect(engine).has_table("workflow_status", schema=None if url.startswith("sqlite") else "dbos"):
        _make_tables(url)
    with engine.begin() as connection:
        for table in reversed(tables(connection, NAMES).values()):
            connection.execute(sa.delete(table))
    Database(url).close()
    with engine.begin() as connection:
        forget_migration(connection)
    yield engine
    engine.dispose()


def add(engine: sa.Engine, name: str, status: str, inputs: str = INPUTS, step: str | None = None, **row: Any) -> None:
    """A workflow as the first release left it, with the result of one step."""
    with engine.begin() as connection:
        there = tables(connection, NAMES)
        given = {"priority": 0, "recovery_attempts": 1, "serialization": "py_pickle", "inputs": inputs, **row}
        values = {"workflow_uuid": name, "status": status, "created_at": 1, "updated_at": 1, **given}
        connection.execute(sa.insert(there["workflow_status"]).values(values))
        kept = {"workflow_uuid": name, "inputs": inputs, "retention_timestamp": 1}
        connection.execute(sa.insert(there["workflow_input"]).values(kept))
        if step is not None:
            kept = {"workflow_uuid": name, "function_id": 1, "function_name": "encode", "retention_timestamp": 1}
            kept |= {"output": step, "serialization": "py_pickle"}
            connection.execute(sa.insert(there["operation_outputs"]).values(kept))


def found(engine: sa.Engine, name: str) -> dict[str, Any]:
    with engine.connect() as connection:
        there = tables(connection, NAMES)
        rows: dict[str, Any] = {}
        for table in ("workflow_status", "workflow_input", "workflow_output", "operation_outputs"):
            query = sa.select(there[table]).where(there[table].c.workflow_uuid == name)
            rows[table] = dict(connection.execute(query).mappings().one_or_none() or {})
    return rows


def migrate(url: str) -> list[str]:
    database = Database(url)
    database.close()
    return database.migrated


def test_a_workflow_under_way_keeps_its_arguments_and_its_results(url: str, older: sa.Engine) -> None:
    add(older, "a", "PENDING", step=pickled({"value": [1, {"code": "x"}]}))
    assert migrate(url)[0] == "workflows of the first release as JSON"
    assert migrate(url) == []
    rows = found(older, "a")
    assert rows["workflow_status"]["status"] == "PENDING"
    assert rows["workflow_status"]["serialization"] == "portable_json"
    for table in ("workflow_status", "workflow_input"):
        assert json.loads(rows[table]["inputs"]) == {"positionalArgs": ["a1b2", None], "namedArgs": {"trace": "00-1"}}
    assert rows["operation_outputs"]["serialization"] == "portable_json"
    assert json.loads(rows["operation_outputs"]["output"]) == {"value": [1, {"code": "x"}]}


def _many() -> str:
    """A short pickle of very many values."""
    value: list[Any] = []
    for _ in range(40):
        value = [value, value]
    return pickled({"args": (value,), "kwargs": {}})


def test_a_workflow_that_is_more_than_plain_values_is_ended_and_not_run(
    url: str, older: sa.Engine, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    code = {"args": (Code(mark),), "kwargs": {}}
    inputs = {
        "code": pickled(code),
        "bytes": pickled({"args": (b"x",), "kwargs": {}}),
        "many": _many(),
        "damaged": INPUTS[:20],
        "no arguments": pickled("text"),
    }
    live = ("PENDING", "ENQUEUED", "DELAYED")
    for status in live:
        for what, text in inputs.items():
            add(older, f"{status}-{what}", status, text)
        add(older, f"{status}-good", status)
        # No JSON either, which ends it when it begins.
        add(older, f"{status}-old", status, base64.b64encode(pickle.dumps(code, protocol=0)).decode())
    migrate(url)
    assert not mark.exists()
    for status in live:
        for what in inputs:
            kept = found(older, f"{status}-{what}")["workflow_status"]
            assert kept["status"] == "ERROR", what
            assert "cannot be read" in kept["error"]
        assert found(older, f"{status}-good")["workflow_status"]["status"] == status


def test_a_result_that_is_more_than_plain_values_ends_its_workflow(url: str, older: sa.Engine, tmp_path: Path) -> None:
    add(older, "a", "PENDING", step=pickled(Code(tmp_path / "ran")))
    migrate(url)
    assert not (tmp_path / "ran").exists()
    assert found(older, "a")["workflow_status"]["status"] == "ERROR"


def test_of_a_workflow_that_is_over_the_fact_is_kept_and_no_pickle(url: str, older: sa.Engine, tmp_path: Path) -> None:
    code = pickled(Code(tmp_path / "ran"))
    for name, status in (("a", "SUCCESS"), ("b", "ERROR"), ("c", "CANCELLED")):
        add(older, name, status, code, step=code, output=code, error=code)
    with older.begin() as connection:
        row = {"workflow_uuid": "a", "output": code, "error": code, "retention_timestamp": 1}
        connection.execute(sa.insert(tables(connection, NAMES)["workflow_output"]).values(row))
    migrate(url)
    assert not (tmp_path / "ran").exists()
    for name, status in (("a", "SUCCESS"), ("b", "ERROR"), ("c", "CANCELLED")):
        rows = found(older, name)
        assert rows["workflow_status"]["status"] == status
        assert "gAS" not in str(rows)
        assert "py_pickle" not in str(rows)


def test_nodes_that_start_together_read_it_once(url: str, older: sa.Engine) -> None:
    for number in range(30):
        add(older, f"w{number}", "ENQUEUED", step=pickled({"value": number}))
    migrated: list[list[str]] = []
    starts = [threading.Thread(target=lambda: migrated.append(migrate(url))) for _ in range(4)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert sorted(names[:1] for names in migrated) == [[], [], [], ["workflows of the first release as JSON"]]
    assert json.loads(found(older, "w7")["operation_outputs"]["output"]) == {"value": 7}


def test_workflows_of_a_form_that_nobody_reads_are_ended(url: str, older: sa.Engine) -> None:
    for name, form in (("a", "x"), ("b", "portable_json"), ("c", None), ("d", "py_pickle")):
        add(older, name, "PENDING", serialization=form)
    with older.begin() as connection:
        assert end_unreadable(connection) == 2
    states = [found(older, name)["workflow_status"]["status"] for name in "abcd"]
    assert states == ["ERROR", "PENDING", "ERROR", "PENDING"]
