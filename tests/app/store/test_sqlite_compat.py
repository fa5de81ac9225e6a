"""The SQLite of older distributions, under every Python that the service runs on."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.errors import CxrError
from app.store.database import create_engine
from tests.support.service import ROOT

# In a process of its own: DBOS's registry is global.
WORKFLOW = """
import sys
from dbos import DBOS, DBOSClient
from app.store.database import create_engine

create_engine(sys.argv[1])

@DBOS.workflow()
def double(number: int) -> int:
    return 2 * number

DBOS(config={"name": "test", "system_database_url": sys.argv[1], "log_level": "ERROR", "enable_otlp": False})
DBOS.launch()
DBOS.register_queue("queue")
client = DBOSClient(system_database_url=sys.argv[1], application_name="test")
enqueued = client.enqueue({"workflow_name": "double", "queue_name": "queue"}, 4)
print(double(21), enqueued.get_result())
client.destroy()
DBOS.destroy()
"""


def test_dbos_starts_and_runs_a_workflow_on_the_sqlite_that_is_here(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.sqlite'}"
    done = subprocess.run(
        [sys.executable, "-c", WORKFLOW, url], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["42", "8"]


def test_a_default_that_dbos_writes_under_python_3_12_has_a_value_in_every_engine(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.sqlite'}"
    create_engine(url).dispose()
    for table in ("one", "two"):  # engines as DBOS makes its own
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            statement = f"CREATE TABLE {table} (id INTEGER, at INTEGER NOT NULL DEFAULT (unixepoch('subsec') * 1000))"
            connection.execute(sa.text(statement))
            connection.execute(sa.text(f"INSERT INTO {table} (id) VALUES (1)"))
            stored = connection.execute(sa.text(f"SELECT at FROM {table}")).scalar_one()
        engine.dispose()
        assert abs(stored / 1000 - time.time()) < 60


def test_an_sqlite_that_is_too_old_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(CxrError, match=r"SQLite .* needs 3\.35 or newer, or PostgreSQL"):
        create_engine(f"sqlite:///{tmp_path / 'a.sqlite'}")
