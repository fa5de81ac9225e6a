"""A copy of the database while it is in use, by its own means: SQLite's backup interface, PostgreSQL's pg_dump."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import sqlalchemy as sa

from app.errors import CxrError
from app.store.database import create_engine
from app.store.spool import sync_file
from app.store.tables import apart, instances, state_folder

SQLITE, POSTGRESQL = "sqlite", "postgresql"
FILES = {SQLITE: "database.sqlite", POSTGRESQL: "database.dump"}


@dataclass(frozen=True)
class HeldFile:
    """What the copied database records of a file; see `app.store.integrity.Held`."""

    file: str
    sha256: str
    transfer_syntax_uid: str


@dataclass(frozen=True)
class Snapshot:
    """What was copied: the id of the state folder, and the files that the copy names."""

    identity: str | None
    held: Sequence[HeldFile]


def copy_database(engine: sa.Engine, target: Path) -> Snapshot:
    """Copy the database to a file, durably, and say what the copy holds. Raises CxrError."""
    if engine.dialect.name == POSTGRESQL:
        return _dump(engine, target)
    return _copy_sqlite(engine, target)


def _copy_sqlite(engine: sa.Engine, target: Path) -> Snapshot:
    path = Path(str(engine.url.database))
    source, copy = sqlite3.connect(path), sqlite3.connect(target)
    try:
        source.backup(copy)  # one read transaction: writers go on (WAL)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    except sqlite3.Error as error:
        raise CxrError("The database could not be copied.", code="backup_failed") from error
    finally:
        source.close()
        copy.close()
    copied = create_engine(f"sqlite:///{target}")
    try:
        with copied.execution_options(read_only=True).connect() as connection:
            return _held(connection)
    finally:
        copied.dispose()


def _dump(engine: sa.Engine, target: Path) -> Snapshot:
    # What the dump holds is read in the transaction whose snapshot it is made of.
    reader = engine.execution_options(isolation_level="REPEATABLE READ")
    with reader.connect() as connection, connection.begin():
        snapshot = connection.execute(sa.select(sa.func.pg_export_snapshot())).scalar_one()
        held = _held(connection)
        _run("pg_dump", engine.url, "--format=custom", f"--snapshot={snapshot}", f"--file={target}")
    return held


def _held(connection: sa.Connection) -> Snapshot:
    def named_by(table: sa.Table) -> list[HeldFile]:
        columns = [table.c[field.name] for field in fields(HeldFile)]
        query = sa.select(*columns).where(table.c.file.is_not(None))
        return [HeldFile(**row._mapping) for row in connection.execute(query)]

    # The schema may be of a release before, which is backed up as it is.
    there = sa.inspect(connection)
    held = named_by(instances) + (named_by(apart) if there.has_table(apart.name) else [])
    has_identity = there.has_table(state_folder.name)
    return Snapshot(connection.execute(sa.select(state_folder.c.id)).scalar() if has_identity else None, held)


def restore_database(source: Path, url: str) -> None:
    """Make the database of a copy, whole or not at all. Raises CxrError where it is not empty, or not whole then."""
    refuse_full(url)
    target = sa.make_url(url)
    if target.get_backend_name() == POSTGRESQL:
        _run("pg_restore", target, "--exit-on-error", "--single-transaction", "--no-owner", str(source))
        return
    path = Path(str(target.database))
    fresh = path.with_name(f".{path.name}.restored")
    shutil.copyfile(source, fresh)
    connection = sqlite3.connect(fresh)
    try:
        found = connection.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        found = str(error)
    finally:
        connection.close()
    if found != "ok":
        fresh.unlink()
        raise CxrError(f"The backup's database is damaged: {found}", code="backup_damaged")
    sync_file(fresh)
    fresh.rename(path)
    sync_file(path.parent)


def refuse_full(url: str) -> None:
    """Raises CxrError where a database is there already, or what another one has left: nothing is overwritten."""
    target = sa.make_url(url)
    if target.get_backend_name() == POSTGRESQL:
        _refuse_tables(url)
        return
    path = Path(str(target.database))
    # SQLite takes a log that lies beside a database for its own.
    for file in (path, *(path.with_name(f"{path.name}-{kind}") for kind in ("wal", "shm", "journal"))):
        if file.exists():
            raise CxrError(f"{file} is there already; a restore overwrites nothing.", code="restore_refused")


def _refuse_tables(url: str) -> None:
    engine = create_engine(url)
    try:
        inspector = sa.inspect(engine)
        full = any(inspector.get_table_names(schema=schema) for schema in ("public", "dbos"))
    except sa.exc.DBAPIError as error:
        raise CxrError("The database cannot be used.", code="database_refused") from error
    finally:
        engine.dispose()
    if full:
        raise CxrError("The database holds tables already; a restore overwrites nothing.", code="restore_refused")


def _run(program: str, url: sa.URL, *arguments: str) -> None:
    """Run a program of PostgreSQL's on a database. The password goes by the environment, which nobody else reads."""
    found = shutil.which(program)
    if found is None:
        raise CxrError(f"{program} is not installed: it comes with PostgreSQL's client.", code="backup_failed")
    plain = url.set(drivername=POSTGRESQL, password=None).render_as_string()
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    database = f"--dbname={plain}"
    done = subprocess.run(  # noqa: S603  a program of PostgreSQL's, without a shell
        [found, database, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["without a word"]
        raise CxrError(f"{program} failed: {said[0]}", code="backup_failed")
