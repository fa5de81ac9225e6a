"""Removes pixel data of studies that are over; rows, reports and documents stay."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
import structlog

from app.settings import StudySettings
from app.store.database import Database
from app.store.records import FINAL, JobState
from app.store.spool import Spool
from app.store.tables import instances, jobs

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 60.0
_AT_ONCE = 500


class Retention:
    """Deletes received files once every job of their study has been over for the time that is set."""

    def __init__(self, settings: StudySettings, database: Database, spool: Spool) -> None:
        self._done_seconds = settings.retention_hours * 3600.0
        self._failed_seconds = settings.failed_retention_hours * 3600.0
        self._database = database
        self._spool = spool

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                removed = await self.sweep()
                if removed:
                    log.info("removed pixel data", instances=removed)
            except Exception as error:  # a sweep that fails is not the last one
                log.error("retention failed", exc_info=error)
            await asyncio.sleep(_EVERY_SECONDS)

    async def sweep(self) -> int:
        """Remove what is due; returns how many files."""
        removed = 0
        # Looked for without the lock that arrivals would wait for.
        while await self._database.read(self._due):
            released = await self._database.write(self._release)
            left = await asyncio.to_thread(self._remove, released)
            removed += len(released) - len(left)
            if left:
                # Named again, so that the next sweep tries again: what no row names is never removed.
                await self._database.write(lambda connection, left=left: _name_again(connection, left))  # type: ignore[misc]
                break
        return removed

    def _remove(self, released: Mapping[str, str]) -> dict[str, str]:
        """Remove files by UID; returns those that could not be."""
        left = {}
        for uid, name in released.items():
            try:
                self._spool.path(name).unlink(missing_ok=True)
            except OSError as error:
                log.error("a file could not be removed", file=name, exc_info=error)
                left[uid] = name
        return left

    def _release(self, connection: sa.Connection) -> dict[str, str]:
        """Take files that are due from their rows; returns the files' names by UID, for removal after the commit.

        The row first: a file without a row is set aside at the next start, a row without its file would be a loss.
        """
        rows = self._due(connection)
        uids = [row.sop_instance_uid for row in rows]
        connection.execute(sa.update(instances).where(instances.c.sop_instance_uid.in_(uids)).values(file=None))
        return {row.sop_instance_uid: row.file for row in rows}

    def _due(self, connection: sa.Connection) -> Sequence[Any]:
        now = self._database.now(connection)
        kept = sa.select(jobs.c.study_uid).where(
            sa.or_(
                jobs.c.state.not_in(FINAL),
                sa.and_(jobs.c.state == JobState.DONE, jobs.c.updated > now - self._done_seconds),
                sa.and_(jobs.c.state.in_(FINAL - {JobState.DONE}), jobs.c.updated > now - self._failed_seconds),
            )
        )
        query = (
            sa.select(instances.c.sop_instance_uid, instances.c.file)
            .where(
                instances.c.origin != "result",
                instances.c.file.is_not(None),
                instances.c.received < now - self._done_seconds,
                instances.c.study_uid.not_in(kept),
            )
            .limit(_AT_ONCE)
        )
        rows: Sequence[Any] = connection.execute(query).all()
        return rows


def _name_again(connection: sa.Connection, files: Mapping[str, str]) -> None:
    for uid, name in files.items():
        connection.execute(
            sa.update(instances)
            .where(instances.c.sop_instance_uid == uid, instances.c.file.is_(None))
            .values(file=name)
        )
