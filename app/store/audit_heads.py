"""The last event of the audit log, noted in the database: a log that was cut or made anew lacks it."""

import sqlalchemy as sa

from app.store.database import Database
from app.store.tables import audit_heads


class AuditHeads:
    """What is noted of one log, by its name."""

    def __init__(self, database: Database, log: str) -> None:
        self._database = database
        self._log = log

    def note(self, number: int, hash_: str) -> None:
        """Note the last event, unless a later one is noted. Raises SQLAlchemyError."""
        table = audit_heads
        with self._database.transaction() as connection:
            now = self._database.now(connection)
            row = {"log": self._log, "number": 0, "hash": "", "updated": now}
            self._database.insert_new(connection, table, [row])
            mine = (table.c.log == self._log, table.c.number < number)
            connection.execute(sa.update(table).where(*mine).values(number=number, hash=hash_, updated=now))

    def noted(self) -> tuple[int, str] | None:
        """Number and hash of the last event that was noted. Raises SQLAlchemyError."""
        with self._database.reading() as connection:
            return noted_head(connection, self._log)


def noted_head(connection: sa.Connection, log: str) -> tuple[int, str] | None:
    """The same, whatever the schema's version."""
    row = connection.execute(sa.select(audit_heads).where(audit_heads.c.log == log)).one_or_none()
    return None if row is None or not row.number else (row.number, row.hash)
