"""Removes what is held of studies that are over: pixel data, written documents, and at last everything, each by its
own age.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog

from app.dicom.header import NotStorable
from app.imaging.headers import Headers
from app.settings import StudySettings
from app.store.database import Database
from app.store.erasure import Erased, Target
from app.store.findings import UNKNOWN
from app.store.job_states import FINAL, JobState
from app.store.kept import remove_expired
from app.store.records import States
from app.store.spool import Spool
from app.store.state_folder import UnknownSweep
from app.store.tables import apart, instances, jobs, studies

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 60.0
_AT_ONCE = 500
Due = Callable[[sa.Connection], Sequence[Any]]
Note = Callable[[str, set[str], int, set[str] | None], Awaitable[None]]


class Retention:
    """Deletes what is held once every job of its study has been over for the time that is set.

    `erase` removes a study as a whole, and `note` tells the audit log how many of what were removed, and
    whose, where their rows are gone with them.
    """

    def __init__(
        self,
        settings: StudySettings,
        database: Database,
        spool: Spool,
        erase: Callable[[Target], Awaitable[Erased]],
        note: Note = lambda what, studies, count, patients: _nothing(),
        headers: Headers | None = None,
    ) -> None:
        self._headers = headers
        self._document_seconds = _seconds(settings.document_retention_days)
        self._row_seconds = _seconds(settings.row_retention_days)
        self._erase = erase
        self._note = note
        self._done_seconds = settings.retention_hours * 3600.0
        self._failed_seconds = settings.failed_retention_hours * 3600.0
        self._database = database
        self._spool = spool
        self._unknown = UnknownSweep(database, spool)

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                await self.sweep()
                await self._sweep_apart()
                await self._sweep_rows()
                await self._database.write(partial(remove_expired, self._database))
                await asyncio.to_thread(self._unknown.run)
            except Exception as error:  # a sweep that fails is not the last one
                log.error("retention failed", exc_info=error)
            await asyncio.sleep(_EVERY_SECONDS)

    async def sweep(self) -> int:
        """Remove files that are due; returns how many."""
        removed = await self._sweep_files(self._due_images, "pixel data")
        if self._document_seconds is not None:
            removed += await self._sweep_files(self._due_documents, "documents")
            await self._database.write(self._forget_reports)
        return removed

    async def _sweep_files(self, due: Due, what: str) -> int:
        removed, touched = 0, set()
        # Looked for without the lock that arrivals would wait for.
        while found := await self._database.read(due):
            facts = await asyncio.to_thread(self._facts, found)
            rows = await self._database.write(
                lambda connection, facts=facts: _release(connection, due(connection), facts)  # type: ignore[misc]
            )
            released = {row.sop_instance_uid: row.file for row in rows}
            touched |= {row.study_uid for row in rows}
            left = await asyncio.to_thread(self._remove, released)
            removed += len(released) - len(left)
            if left:
                # Named again, so that the next sweep tries again: what no row names is never removed.
                await self._database.write(lambda connection, left=left: _name_again(connection, left))  # type: ignore[misc]
                break
        if removed:
            log.info("removed by age", kind=what, instances=removed)
            await self._note(what, touched, removed, None)
        return removed

    async def _sweep_rows(self) -> None:
        if self._row_seconds is None:
            return
        for study in await self._database.read(self._due_studies):
            erased = await self._erase(Target(study=study))
            await self._note("rows", {study}, erased.instances, erased.patients)

    async def _sweep_apart(self) -> None:
        def sweep(connection: sa.Connection) -> Sequence[Any]:
            oldest = self._database.now(connection) - self._failed_seconds
            due = sa.select(apart).where(apart.c.received < oldest)
            rows = connection.execute(due).all()
            for row in rows:
                self._spool.path(row.file).unlink(missing_ok=True)
            connection.execute(sa.delete(apart).where(apart.c.id.in_([row.id for row in rows])))
            return rows

        if removed := await self._database.write(sweep):
            log.info("removed by age", kind="kept apart", instances=len(removed))
            await self._note(
                "what is kept apart",
                {row.study_uid for row in removed},
                len(removed),
                {row.patient_id for row in removed},
            )

    def _facts(self, rows: Sequence[Any]) -> dict[str, Any]:
        """What instances mean whose files are about to go, by UID: the same may come again in another encoding."""
        found: dict[str, Any] = {}
        if self._headers is None:
            return found
        for row in rows:
            # Where it cannot be told, or not now, what comes again is another state.
            with contextlib.suppress(NotStorable, OSError):
                if row.origin == "input" and (meaning := self._headers.meaning(self._spool.path(row.file))) is not None:
                    found[row.sop_instance_uid] = meaning.facts.model_dump()
        return found

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

    def _due_images(self, connection: sa.Connection) -> Sequence[Any]:
        now = self._database.now(connection)
        kept = sa.select(jobs.c.study_uid).where(
            sa.or_(
                jobs.c.state.not_in(FINAL),
                sa.and_(jobs.c.state == JobState.DONE, jobs.c.updated > now - self._done_seconds),
                sa.and_(jobs.c.state.in_(FINAL - {JobState.DONE}), jobs.c.updated > now - self._failed_seconds),
            )
        )
        mine = (instances.c.origin != "result", instances.c.received < now - self._done_seconds)
        return _files(connection, *mine, instances.c.study_uid.not_in(kept))

    def _due_documents(self, connection: sa.Connection) -> Sequence[Any]:
        oldest = self._database.now(connection) - (self._document_seconds or 0.0)
        mine = (instances.c.origin == "result", instances.c.received < oldest)
        return _files(connection, *mine, instances.c.study_uid.not_in(_younger(oldest)))

    def _forget_reports(self, connection: sa.Connection) -> None:
        oldest = self._database.now(connection) - (self._document_seconds or 0.0)
        kept = sa.or_(jobs.c.report.is_not(None), jobs.c.findings.is_not(None))
        mine = (jobs.c.state.in_(FINAL), jobs.c.updated < oldest, kept)
        connection.execute(sa.update(jobs).where(*mine).values(report=sa.null(), findings=sa.null(), triage=UNKNOWN))

    def _due_studies(self, connection: sa.Connection) -> list[str]:
        oldest = self._database.now(connection) - (self._row_seconds or 0.0)
        mine = (studies.c.created < oldest, studies.c.study_uid.not_in(_younger(oldest)))
        return list(connection.execute(sa.select(studies.c.study_uid).where(*mine).limit(_AT_ONCE)).scalars())


def _seconds(days: float | None) -> float | None:
    return None if days is None else days * 86_400.0


def _younger(oldest: float) -> sa.Select[tuple[str]]:
    """Studies with a job that goes on, or has ended since."""
    return sa.select(jobs.c.study_uid).where(sa.or_(jobs.c.state.not_in(FINAL), jobs.c.updated > oldest))


def _files(connection: sa.Connection, *wanted: sa.ColumnElement[bool]) -> Sequence[Any]:
    table = instances.c
    query = sa.select(table.sop_instance_uid, table.file, table.study_uid, table.origin, table.states).where(
        instances.c.file.is_not(None), *wanted
    )
    rows: Sequence[Any] = connection.execute(query.limit(_AT_ONCE)).all()
    return rows


def _release(connection: sa.Connection, rows: Sequence[Any], facts: Mapping[str, Any]) -> Sequence[Any]:
    """Take files that are due from their rows; returns the rows, for the files' removal after the commit.

    The row first: a file without a row is set aside later, a row without its file would be a loss.
    """
    uids = [row.sop_instance_uid for row in rows]
    connection.execute(sa.update(instances).where(instances.c.sop_instance_uid.in_(uids)).values(file=None))
    for row in rows:
        if row.sop_instance_uid in facts:
            states = replace(States.from_json(row.states or {}), removed=facts[row.sop_instance_uid])
            mine = instances.c.sop_instance_uid == row.sop_instance_uid
            connection.execute(sa.update(instances).where(mine).values(states=asdict(states)))
    return rows


async def _nothing() -> None:
    """Tell nobody."""


def _name_again(connection: sa.Connection, files: Mapping[str, str]) -> None:
    for uid, name in files.items():
        connection.execute(
            sa.update(instances)
            .where(instances.c.sop_instance_uid == uid, instances.c.file.is_(None))
            .values(file=name)
        )
