"""Which database and which state folder belong together, and what becomes of files that the database does not know."""

import uuid
from collections.abc import Callable

import sqlalchemy as sa
import structlog

from app.errors import CxrError
from app.store.database import Database
from app.store.migrations import one_at_a_time
from app.store.recording import held_files
from app.store.spool import Spool
from app.store.tables import state_folder

log = structlog.get_logger(__name__)

# How old a file is that no process can still be writing.
GRACE_SECONDS = 600.0
_BIND = "Where they do belong together, run `cxr spool bind`"


def claim(database: Database, spool: Spool) -> None:
    """Make sure that the database belongs to the folder; the two that meet first are bound to one another.

    Raises CxrError in words where they do not belong together: a new or another database would take every file of the
    folder for a remain, and a folder that is not mounted would make a loss of every file.
    """
    with database.transaction() as connection:
        one_at_a_time(connection)
        found, there = _identity(connection), spool.identity
        if found is not None and found == there:
            return
        if found is not None and there is not None:
            raise _refusal(
                f"The database belongs to the state folder {found[:8]}, and {spool.folder} is of {there[:8]}: check "
                f"CXR_DATABASE_URL and CXR_STATE_DIR. {_BIND}."
            )
        files, held = len(spool.names()), len(held_files(connection))
        if files and (there is not None or not held):
            raise _refusal(
                f"The database is not the one of this state folder: it names no folder, and {spool.folder} holds "
                f"{files} files of another database. Check CXR_DATABASE_URL, or restore a backup with `cxr restore`. "
                f"{_BIND}; files that it does not know are then set aside for `cxr spool adopt`."
            )
        if found is not None and held:
            raise _refusal(
                f"The database holds {held} instances of another state folder: is its volume mounted at "
                f"{spool.folder}? {_BIND}."
            )
        _bind(connection, spool, there or found or uuid.uuid4().hex)


def bind(database: Database, spool: Spool) -> str:
    """Bind a database and a folder to one another, whatever they were bound to; returns the id."""
    with database.transaction() as connection:
        one_at_a_time(connection)
        identity = spool.identity or _identity(connection) or uuid.uuid4().hex
        _bind(connection, spool, identity)
        return identity


def _identity(connection: sa.Connection) -> str | None:
    identity: str | None = connection.execute(sa.select(state_folder.c.id)).scalar()
    return identity


def _bind(connection: sa.Connection, spool: Spool, identity: str) -> None:
    connection.execute(sa.delete(state_folder))
    connection.execute(sa.insert(state_folder), [{"id": identity}])
    if spool.identity != identity:
        spool.identify(identity)


def _refusal(detail: str) -> CxrError:
    return CxrError(detail, code="other_state_folder")


def set_unknown_aside(database: Database, spool: Spool) -> int:
    """Set aside files that no row names, the youngest excepted; returns how many.

    They are what a killed process was receiving, or instances that a restored database does not know: none of our
    business to tell, so none is deleted.
    """
    old, _ = unnamed(spool, lambda: _held(database))
    return _set_aside(database, spool, old)


class UnknownSweep:
    """Sets aside, while the service runs, what `set_unknown_aside` does at its start.

    It takes files that no row has named in two sweeps: a row that is removed goes before its file.
    """

    def __init__(self, database: Database, spool: Spool) -> None:
        self._database, self._spool = database, spool
        self._seen: set[str] = set()

    def run(self) -> int:
        """Sweep once; returns how many files were set aside. Blocks."""
        old, _ = unnamed(self._spool, lambda: _held(self._database))
        due, self._seen = old & self._seen, old
        return _set_aside(self._database, self._spool, due)


def unnamed(spool: Spool, held: Callable[[], set[str]]) -> tuple[set[str], set[str]]:
    """Files that no row names: those that are older than the grace time, and the younger ones, which another process
    that shares the folder may be writing. `held` is asked for those that rows name once the files are listed.
    """
    names = spool.names()
    unknown = names - held()
    if not unknown:
        return set(), set()
    until, modified = spool.now() - GRACE_SECONDS, {name: _modified(spool, name) for name in unknown}
    old = {name for name, at in modified.items() if at is not None and at < until}
    return old, {name for name, at in modified.items() if at is not None} - old


def _set_aside(database: Database, spool: Spool, old: set[str]) -> int:
    # A process may have been slower than the grace time, and have recorded one since it was set aside.
    if lost := spool.unknown_names() & _held(database):
        spool.put_back(lost)
    if not old:
        return 0
    spool.set_aside(old)
    recorded = old & _held(database)
    spool.put_back(recorded)
    count = len(old - recorded)
    log.warning("files that the database does not know were set aside", count=count, folder=str(spool.unknown))
    return count


def _held(database: Database) -> set[str]:
    with database.reading() as connection:
        return held_files(connection)


def _modified(spool: Spool, name: str) -> float | None:
    try:
        return spool.path(name).stat().st_mtime
    except FileNotFoundError:
        return None
