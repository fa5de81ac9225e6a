"""The connection to the database: SQLite in the state folder, or PostgreSQL."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from app.errors import CxrError
from app.store import old_sqlite
from app.store.tables import held_files, metadata

_BUSY_MS = 30_000


def database_url(configured: str | None, state_dir: Path) -> str:
    """The URL in force, with the driver that is installed."""
    if configured is None:
        return f"sqlite:///{(state_dir / 'cxr.sqlite').resolve()}"
    for scheme in ("postgres://", "postgresql://"):
        if configured.startswith(scheme):
            return f"postgresql+psycopg://{configured.removeprefix(scheme)}"
    return configured


def connect(url: str) -> sa.Engine:
    """An engine with our tables in place. Raises CxrError where the database cannot be used."""
    if url.startswith("sqlite"):
        if refused := old_sqlite.refusal():
            raise CxrError(f"The database cannot be used: {refused}.", code="database_refused")
        old_sqlite.teach_the_clock()
    try:
        engine = sa.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
        raise CxrError("CXR_DATABASE_URL is no database that is supported here.", code="database_refused") from error
    if engine.dialect.name == "sqlite":
        _configure_sqlite(engine)
    try:
        metadata.create_all(engine)
        # Databases that were made before it have the table, which is left alone as a whole.
        held_files.create(engine, checkfirst=True)
    except sa.exc.DBAPIError as error:
        raise CxrError("The database cannot be used.", code="database_refused") from error
    return engine


def _configure_sqlite(engine: sa.Engine) -> None:
    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: object) -> None:
        # WAL stays set in the file, so DBOS's connections have it too; FULL makes a commit durable (an fsync).
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        # BEGIN is issued below: sqlite3 would begin too late for a read that precedes a write.
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A reader that later writes could not upgrade its lock while another writes; writers queue here instead.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN")


def _writes(connection: sa.Connection) -> bool:
    return not connection.get_execution_options().get("read_only", False)


class Database:
    """Transactions on the service's tables; synchronous, to be called off the event loop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = connect(url)
        self._reader = self.engine.execution_options(read_only=True)

    def transaction(self) -> Any:
        """A context manager around a connection; commits at its end, rolls back on an error."""
        return self.engine.begin()

    def reading(self) -> Any:
        """A context manager around a connection that only reads."""
        return self._reader.connect()

    def insert_new(self, connection: sa.Connection, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert the rows whose primary keys are not there yet."""
        rows = list(rows)
        if rows:
            dialect = postgresql if self.engine.dialect.name == "postgresql" else sqlite
            connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
