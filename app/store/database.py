"""The connection to the database: SQLite in the state folder, or PostgreSQL."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from app.errors import CxrError
from app.store import sqlite_compat
from app.store.migrations import migrate
from app.store.tables import metadata

log = structlog.get_logger(__name__)
T = TypeVar("T")
_BUSY_MS = 30_000
_LOG_SECONDS = 5.0
_UNIX_EPOCH_JULIAN_DAY = 2440587.5


def database_url(configured: SecretStr | str | None, state_dir: Path) -> str:
    """The URL in force, with the driver that is installed."""
    if isinstance(configured, SecretStr):
        configured = configured.get_secret_value()
    if configured is None:
        return f"sqlite:///{(state_dir / 'cxr.sqlite').resolve()}"
    for scheme in ("postgres://", "postgresql://"):
        if configured.startswith(scheme):
            return f"postgresql+psycopg://{configured.removeprefix(scheme)}"
    return configured


def create_engine(url: str) -> sa.Engine:
    """An engine, connected to nothing yet. Raises CxrError where the URL cannot be used."""
    if url.startswith("sqlite"):
        if refused := sqlite_compat.refusal():
            raise CxrError(f"The database cannot be used: {refused}.", code="database_refused")
        sqlite_compat.register_unixepoch()
    try:
        engine = sa.create_engine(url, pool_pre_ping=not url.startswith("sqlite"), hide_parameters=True)
    except (sa.exc.ArgumentError, ModuleNotFoundError) as error:
        raise CxrError("CXR_DATABASE_URL is no database that is supported here.", code="database_refused") from error
    if engine.dialect.name == "sqlite":
        _configure_sqlite(engine)
    return engine


@contextlib.contextmanager
def opened(url: str) -> Iterator[sa.Engine]:
    """An engine for the block, whatever its schema. Raises CxrError where the database does not answer."""
    engine = create_engine(url)
    try:
        yield engine
    except sa.exc.DBAPIError as error:
        raise CxrError("The database cannot be used.", code="database_refused") from error
    finally:
        engine.dispose()


def _configure_sqlite(engine: sa.Engine) -> None:
    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: object) -> None:
        # WAL stays set in the file, so DBOS's connections have it too; FULL makes a commit durable (an fsync).
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        # What is deleted is overwritten: patients' data must not be found in free pages.
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        # BEGIN is issued below: sqlite3 would begin too late for a read that precedes a write.
        connection.isolation_level = None
        # SQLite's own folds ASCII alone.
        connection.create_function("lower", 1, _lower, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A reader that later writes could not upgrade its lock while another writes; writers queue here instead.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN")


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _writes(connection: sa.Connection) -> bool:
    return not connection.get_execution_options().get("read_only", False)


class Database:
    """Transactions on the service's tables, whose schema is brought up to this release when it is opened.

    `read` and `write` are for the event loop, `reading` and `transaction` for other threads.
    """

    def __init__(self, url: str) -> None:
        """Open and migrate. Raises CxrError where the database or its schema cannot be used."""
        self.url = url
        self.engine = create_engine(url)
        try:
            self.migrated = migrate(self.engine)
        except sa.exc.DBAPIError as error:
            self.close()
            raise CxrError("The database cannot be used.", code="database_refused") from error
        except CxrError:
            self.close()
            raise
        self._reader = self.engine.execution_options(read_only=True)

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """The result of `work` on a connection that only reads."""
        return await asyncio.to_thread(self._on, self.reading, work)

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """The result of `work` in a transaction: committed with it, rolled back on an error."""
        return await asyncio.to_thread(self._on, self.transaction, work)

    @staticmethod
    def _on(connect: Callable[[], Any], work: Callable[[sa.Connection], T]) -> T:
        with connect() as connection:
            return work(connection)

    def transaction(self) -> Any:
        """A context manager around a connection; commits at its end, rolls back on an error."""
        return self.engine.begin()

    def reading(self) -> Any:
        """A context manager around a connection that only reads."""
        return self._reader.connect()

    @property
    def clock(self) -> sa.ColumnElement[float]:
        """Seconds since the epoch as an SQL expression: one clock for all replicas, whatever their own ones say."""
        if self.engine.dialect.name == "postgresql":
            return sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()), sa.Double)
        return (sa.func.julianday("now", type_=sa.Float) - _UNIX_EPOCH_JULIAN_DAY) * 86_400.0

    def now(self, connection: sa.Connection) -> float:
        """The time by the database's clock, in seconds since the epoch."""
        return float(connection.execute(sa.select(self.clock)).scalar_one())

    def insert_new(self, connection: sa.Connection, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> int:
        """Insert the rows whose primary keys are not there yet; returns how many."""
        rows = list(rows)
        if not rows:
            return 0
        dialect = postgresql if self.engine.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
        return len(connection.execute(insert, rows).all())

    def forget_deleted(self) -> None:
        """Let nothing of deleted rows lie about in the database's files, as far as its own means go."""
        if self.engine.dialect.name == "sqlite":
            self._empty_log()
        else:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for table in metadata.sorted_tables:
                    connection.exec_driver_sql(f"VACUUM {table.name}")

    def _empty_log(self) -> None:
        """Copy SQLite's write-ahead log into the database and cut it off, once no reader needs it any more."""
        until = time.monotonic() + _LOG_SECONDS
        while True:
            with contextlib.closing(self.engine.raw_connection()) as connection:
                busy = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if not busy:
                return
            if time.monotonic() > until:
                log.warning("the write-ahead log still holds what was deleted; the next checkpoint removes it")
                return
            time.sleep(0.1)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
