"""Which errors are waited for: those of real databases that are full, locked or gone, and no defect."""

import errno
import os
import shutil
import sqlite3
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from app.store.database import Database, create_engine, database_url
from app.store.tables import jobs
from app.store.transient import is_out_of_space, is_transient
from tests.support.orthanc import free_port
from tests.support.postgres import postgresql


def caught(url: str, *statements: str) -> Exception:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
    except sa.exc.DBAPIError as error:
        return error
    finally:
        engine.dispose()
    raise AssertionError("nothing was raised")


DEFECTS = [
    ("SELECT nowhere FROM cxr_jobs",),
    ("SELECT 1 FROM cxr_nowhere",),
    ("SELEKT 1",),
    ("INSERT INTO cxr_nodes (name) VALUES ('a')",),
    ("INSERT INTO cxr_nodes VALUES ('a', 0)", "INSERT INTO cxr_nodes VALUES ('a', 0)"),
]


@pytest.mark.parametrize("statements", DEFECTS)
def test_a_defect_is_not_waited_for_on_sqlite(tmp_path: Path, statements: tuple[str, ...]) -> None:
    url = database_url(None, tmp_path)
    Database(url).close()
    assert not is_transient(caught(url, *statements))


def test_on_postgresql_a_defect_is_not_waited_for_and_a_server_that_stops_is(tmp_path: Path) -> None:
    with postgresql() as configured:
        url = database_url(configured, tmp_path)
        database = Database(url)
        for statements in DEFECTS:
            assert not is_transient(caught(url, *statements)), statements
        with database.engine.connect() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with database.engine.connect() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
            with pytest.raises(sa.exc.DBAPIError) as lost:
                connection.exec_driver_sql("SELECT 1")
        assert is_transient(lost.value)
        database.close()
    assert is_transient(caught(url, "SELECT 1"))


def test_a_port_without_a_server_is_waited_for() -> None:
    assert is_transient(caught(f"postgresql+psycopg://cxr@127.0.0.1:{free_port()}/cxr", "SELECT 1"))


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    url = database_url(None, tmp_path)
    database = Database(url)
    with database.transaction() as connection:
        connection.execute(sa.delete(jobs))
        other = sqlite3.connect(tmp_path / "cxr.sqlite", timeout=0.0)
        with pytest.raises(sqlite3.OperationalError) as locked:
            other.execute("BEGIN IMMEDIATE")
        other.close()
    assert is_transient(sa.exc.OperationalError("BEGIN", {}, locked.value))
    database.close()


def test_a_state_folder_that_is_away_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    url = database_url(None, folder)
    Database(url).close()
    shutil.rmtree(folder)
    assert is_transient(caught(url, "SELECT 1"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_waited_for(number: int) -> None:
    assert is_out_of_space(OSError(number, os.strerror(number)))
    assert is_transient(OSError(number, os.strerror(number)))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EROFS, errno.ESTALE])
def test_want_of_files_or_memory_and_a_file_system_that_is_away_are_waited_for(number: int) -> None:
    assert is_transient(OSError(number, os.strerror(number)))
    assert not is_out_of_space(OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOENT, "gone"),
        PermissionError(errno.EACCES, "no"),
        KeyError("x"),
        sa.exc.IntegrityError("INSERT", {}, psycopg.errors.UniqueViolation()),
        sa.exc.ProgrammingError("SELECT", {}, psycopg.errors.UndefinedColumn()),
    ],
)
def test_other_errors_are_not(error: Exception) -> None:
    assert not is_transient(error)
    assert not is_out_of_space(error)


@pytest.mark.parametrize(
    ("kind", "transient"),
    [
        (psycopg.errors.DiskFull, True),
        (psycopg.errors.TooManyConnections, True),
        (psycopg.errors.AdminShutdown, True),
        (psycopg.errors.CrashShutdown, True),
        (psycopg.errors.CannotConnectNow, True),
        (psycopg.errors.ConnectionFailure, True),
        (psycopg.errors.QueryCanceled, True),
        (psycopg.errors.ReadOnlySqlTransaction, True),
        (psycopg.errors.DeadlockDetected, True),
        (psycopg.errors.SerializationFailure, True),
        (psycopg.errors.LockNotAvailable, True),
        (psycopg.errors.IdleInTransactionSessionTimeout, True),
        (psycopg.errors.UndefinedColumn, False),
        (psycopg.errors.UniqueViolation, False),
        (psycopg.errors.InsufficientPrivilege, False),
    ],
)
def test_postgresqls_states_are_told_apart(kind: type[psycopg.Error], transient: bool) -> None:
    assert is_transient(sa.exc.OperationalError("X", {}, kind())) is transient
