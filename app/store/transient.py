"""Which errors of the database and the disk pass, and which are about a value that was to be stored."""

import errno
import sqlite3

import sqlalchemy as sa

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# Too many open files, no memory, a disk or network file system that does not answer or was mounted read-only.
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EROFS, errno.ESTALE)
# https://www.sqlite.org/rescode.html: locked by another process for longer than the busy timeout, no space, or a file
# system that is away.
_SQLITE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
}
# PostgreSQL, Appendix A: class 08 connection exception, 53 insufficient resources (disk, memory, connections), 57P0x
# the server stops, crashed or starts, 57014 a statement took longer than it may, 25006 the server only reads (after a
# fail-over, or with a full disk), 25P03 a transaction idled, 40001 and 40P01 two transactions met, 55P03 no lock.
_POSTGRESQL_CLASSES = ("08", "53", "57P0", "57014", "25006", "25P03", "40001", "40P01", "55P03")


def is_out_of_space(error: BaseException) -> bool:
    """Whether a disk is full: ours, or the database's."""
    if isinstance(error, OSError):
        return error.errno in _NO_SPACE
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    # SQLite reports a full disk as "database or disk is full", PostgreSQL as SQLSTATE 53100.
    return "disk is full" in str(error.orig) or getattr(error.orig, "sqlstate", None) == "53100"


def is_value_refused(error: BaseException) -> bool:
    """Whether the database cannot hold a value: NUL in a text, or one that is too long for an index (PostgreSQL)."""
    if isinstance(error, sa.exc.DataError):
        return True
    # 54000 program limit exceeded: an index row holds 2,704 bytes.
    return isinstance(error, sa.exc.DBAPIError) and getattr(error.orig, "sqlstate", None) == "54000"


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed later: want of disk, files or memory, a lost connection to the database.

    A missing column or a constraint is none of these, although drivers report some of them as OperationalError too.
    """
    if is_out_of_space(error) or (isinstance(error, OSError) and error.errno in _PASSING):
        return True
    if isinstance(error, sa.exc.TimeoutError):  # all connections of the pool are in use
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE  # the low byte of an extended code is the primary one
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_POSTGRESQL_CLASSES)
    # psycopg has no SQLSTATE where no server answered.
    connected = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    return connected and type(error.orig).__module__.startswith("psycopg")
