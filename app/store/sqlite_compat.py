"""What DBOS asks of SQLite that an older one does not have.

From Python 3.12 on, DBOS stores times as `unixepoch('subsec')`, in statements and as its tables' defaults. SQLite
before 3.42 answers that with NULL, before 3.38 not at all. SQLite decides, not Python: a database that was made under
one Python is opened under another.
"""

import sqlite3
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

# RETURNING came with it, which DBOS's statements have.
_OLDEST = (3, 35)
_WITH_SUBSECONDS = (3, 42)


def refusal() -> str | None:
    """Why the SQLite of this Python cannot keep the service's state; None where it can."""
    if sqlite3.sqlite_version_info >= _OLDEST:
        return None
    needed = ".".join(str(part) for part in _OLDEST)
    return f"this Python has SQLite {sqlite3.sqlite_version}, the service needs {needed} or newer, or PostgreSQL"


def register_unixepoch() -> None:
    """From now on every SQLite connection of this process, DBOS's own included, knows `unixepoch('subsec')`."""
    if sqlite3.sqlite_version_info < _WITH_SUBSECONDS and not event.contains(sa.Engine, "connect", _register):
        event.listen(sa.Engine, "connect", _register)


def _register(connection: Any, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.create_function("unixepoch", 1, _unixepoch)
        # A table's default may call it only where the schema is trusted, which some builds of SQLite do not by default.
        connection.execute("PRAGMA trusted_schema=ON")


def _unixepoch(modifier: object) -> float:
    if modifier != "subsec":
        raise ValueError("only unixepoch('subsec') is known here")
    return time.time()
