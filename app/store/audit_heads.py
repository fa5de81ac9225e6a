"""The last event of the audit log, noted in the database: a log that was cut or made anew lacks it."""

import sqlalchemy as sa

from app.store.database import Database
from app.store.tables import audit_heads


def note_head(database: Database, log: str, number: int, hash_: str) -> None:
    """Note a log's last event, unless a later one is noted."""
    table = audit_heads
    with database.transaction() as connection:
        now = database.now(connection)
        database.insert_new(connection, table, [{"log": log, "number": 0, "hash": "", "updated": now}])
        mine = (table.c.log == log, table.c.number < number)
        connection.execute(sa.update(table).where(*mine).values(number=number, hash=hash_, updated=now))


def noted_head(connection: sa.Connection, log: str) -> tuple[int, str] | None:
    """Number and hash of a log's last event that was noted."""
    row = connection.execute(sa.select(audit_heads).where(audit_heads.c.log == log)).one_or_none()
    return None if row is None else (row.number, row.hash)
