"""Jobs as they are read: one, some, how many, and the instances of their studies."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Literal

import sqlalchemy as sa

from app.errors import NotFound
from app.store.database import Database
from app.store.job_states import WORKED_ON, JobState
from app.store.owners import EVERYTHING, Viewer
from app.store.records import HeldInstance, Job, JobCounts, Run
from app.store.tables import instances, jobs, studies

Order = Literal["newest", "priority"]

# Their documents are held, and at the destinations or on their way there.
_WRITTEN = (JobState.DELIVERING, JobState.DONE)


class JobReader:
    """Reads jobs, and changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, job_id: str, viewer: Viewer = EVERYTHING) -> Job:
        """One job that the viewer sees. Raises NotFound."""
        return await self._database.read(lambda connection: job_of(connection, job_id, viewer))

    async def find(
        self,
        *,
        states: Sequence[str] = (),
        study_uid: str | None = None,
        limit: int = 50,
        offset: int = 0,
        viewer: Viewer = EVERYTHING,
        order: Order = "newest",
    ) -> tuple[list[Job], int]:
        """Jobs that the viewer sees, newest first or by `StoredFindings.place`, and how many there are in all."""
        wanted: list[sa.ColumnElement[bool]] = []
        if viewer != EVERYTHING:
            wanted.append(jobs.c.study_uid.in_(viewer.studies))
        if states:
            wanted.append(jobs.c.state.in_(states))
        if study_uid is not None:
            wanted.append(jobs.c.study_uid == study_uid)
        first = [jobs.c.triage.desc()] if order == "priority" else []
        # The id last, so that no two jobs change places between two pages.
        ordered = sa.select(jobs).where(*wanted).order_by(*first, jobs.c.created.desc(), jobs.c.id)
        query = ordered.limit(limit).offset(offset)

        def find(connection: sa.Connection) -> tuple[list[Job], int]:
            total = connection.execute(sa.select(sa.func.count()).select_from(jobs).where(*wanted)).scalar_one()
            return [Job.from_row(row) for row in connection.execute(query)], total

        return await self._database.read(find)

    async def count(self) -> JobCounts:
        """How many jobs there are by state, and how old the oldest open one is that waits for no person."""
        # Two queries: the first reads the index of the states alone, the second no job that is over, as most are.
        counts = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
        oldest = sa.select(self._database.clock - sa.func.min(jobs.c.created)).where(jobs.c.state.in_(WORKED_ON))

        def count(connection: sa.Connection) -> JobCounts:
            found = {state: int(number) for state, number in connection.execute(counts)}
            return JobCounts(found, connection.execute(oldest).scalar_one())

        return await self._database.read(count)

    async def held_bytes(self) -> int:
        """Bytes of all files that are held."""
        query = sa.select(sa.func.coalesce(sa.func.sum(instances.c.bytes), 0)).where(instances.c.file.is_not(None))
        return await self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    async def open_runs(self, quiet_seconds: float) -> list[Run]:
        """Runs of jobs that a workflow has to be at and that have not changed for a while, oldest first.

        One that was changed in the future is among them: the clock was set back since.
        """
        now = self._database.clock
        unchanged = sa.or_(jobs.c.updated < now - quiet_seconds, jobs.c.updated > now + quiet_seconds)
        query = sa.select(jobs.c.id, jobs.c.runs).where(jobs.c.state.in_(WORKED_ON), unchanged).order_by(jobs.c.created)
        return await self._database.read(
            lambda connection: [Run(row.id, row.runs) for row in connection.execute(query)]
        )

    async def over(self, runs: Sequence[Run]) -> set[Run]:
        """Those of the runs that are not to go on: their job was cancelled, or has begun another run."""
        query = sa.select(jobs.c.id, jobs.c.runs, jobs.c.state).where(jobs.c.id.in_([run.job_id for run in runs]))

        def over(connection: sa.Connection) -> set[Run]:
            going = {Run(row.id, row.runs) for row in connection.execute(query) if row.state != JobState.CANCELLED}
            return set(runs) - going

        return await self._database.read(over)

    async def patients(self, uids: Collection[str]) -> set[str]:
        """The Patient IDs of studies, as their first instances have them."""
        query = sa.select(studies.c.patient_id).where(studies.c.study_uid.in_(uids))
        return await self._database.read(lambda connection: set(connection.execute(query).scalars()))

    async def inputs(self, study_uid: str) -> list[HeldInstance]:
        """The instances that were received of a study, in the order of their arrival."""
        table = instances.c
        query = (
            sa.select(*(table[field.name] for field in fields(HeldInstance)))
            .where(table.study_uid == study_uid, table.origin == "input")
            .order_by(table.received, table.sop_instance_uid)
        )
        return await self._database.read(
            lambda connection: [HeldInstance(**row._mapping) for row in connection.execute(query)]
        )

    async def written_revisions(self, job: Job) -> list[Job]:
        """Other jobs of the same study whose documents are written, latest first."""
        return await self._database.read(lambda connection: self.written_revisions_in(connection, job))

    @staticmethod
    def written_revisions_in(connection: sa.Connection, job: Job) -> list[Job]:
        """The same as part of a transaction, which locks the study."""
        connection.execute(sa.select(studies.c.job).where(studies.c.study_uid == job.study_uid).with_for_update())
        mine = (jobs.c.study_uid == job.study_uid, jobs.c.id != job.id, jobs.c.state.in_(_WRITTEN))
        rows = connection.execute(sa.select(jobs).where(*mine).order_by(jobs.c.revision.desc()).limit(20))
        return [other for other in map(Job.from_row, rows) if other.documents]


def job_of(connection: sa.Connection, job_id: str, viewer: Viewer = EVERYTHING) -> Job:
    """One job that the viewer sees. Raises NotFound."""
    query = sa.select(jobs).where(jobs.c.id == job_id)
    if viewer != EVERYTHING:
        query = query.where(jobs.c.study_uid.in_(viewer.studies))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("There is no such job.")
    return Job.from_row(row)
