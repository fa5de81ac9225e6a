"""Jobs: one revision of a study from its first instance to its delivered report."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.errors import Conflict, NotFound
from app.store.database import Database
from app.store.tables import deliveries, instances, jobs, studies

RECEIVED, WAITING, RUNNING, DELIVERING = "received", "waiting", "running", "delivering"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
STATES = (RECEIVED, WAITING, RUNNING, DELIVERING, DONE, FAILED, CANCELLED)
FINAL = frozenset({DONE, FAILED, CANCELLED})
OPEN = tuple(state for state in STATES if state not in FINAL)
# A step that is repeated after a kill enters the state it left.
_NEXT: dict[str, frozenset[str]] = {
    RECEIVED: frozenset({WAITING, CANCELLED, FAILED}),
    WAITING: frozenset({WAITING, RUNNING, CANCELLED, FAILED}),
    RUNNING: frozenset({RUNNING, DELIVERING, DONE, CANCELLED, FAILED}),
    DELIVERING: frozenset({DELIVERING, DONE, CANCELLED, FAILED}),
    DONE: frozenset({DONE}),
    FAILED: frozenset({FAILED, WAITING, DELIVERING}),
    CANCELLED: frozenset({CANCELLED, WAITING, DELIVERING}),
}


@dataclass(frozen=True)
class Job:
    """A row of the jobs' table; see `tables.py`. Times are seconds since the epoch."""

    id: str
    study_uid: str
    revision: int
    state: str
    runs: int
    attempts: int
    created: float
    updated: float
    last_received: float
    reason: dict[str, str] | None
    steps: list[dict[str, Any]]
    skipped: list[dict[str, str]]
    image: dict[str, Any] | None
    report: dict[str, Any] | None
    documents: list[str]


@dataclass(frozen=True)
class Delivery:
    """How far a job's documents have come with one destination."""

    destination: str
    state: str
    attempts: int
    error: str | None
    updated: float


class Jobs:
    """Reads and moves jobs. Synchronous, to be called off the event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, job_id: str) -> Job:
        """One job. Raises NotFound."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise NotFound("There is no such job.")
        return Job(**row._mapping)

    def find(
        self, *, states: Sequence[str] = (), study_uid: str | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[list[Job], int]:
        """Jobs, newest first, and how many there are in all."""
        wanted: list[sa.ColumnElement[bool]] = [jobs.c.state.in_(states)] if states else []
        if study_uid is not None:
            wanted.append(jobs.c.study_uid == study_uid)
        query = sa.select(jobs).where(*wanted).order_by(jobs.c.created.desc(), jobs.c.id)
        with self._database.reading() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(jobs).where(*wanted)).scalar_one()
            found = [Job(**row._mapping) for row in connection.execute(query.limit(limit).offset(offset))]
        return found, total

    def count(self) -> tuple[dict[str, int], float | None]:
        """Jobs by state, and when the oldest unfinished one was created."""
        # Two queries: the first reads the index of the states alone, the second no job that is over, as most are.
        counts = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
        oldest = sa.select(sa.func.min(jobs.c.created)).where(jobs.c.state.in_(OPEN))
        with self._database.reading() as connection:
            found = {state: int(count) for state, count in connection.execute(counts)}
            return found, connection.execute(oldest).scalar_one()

    def held_bytes(self) -> int:
        """Bytes of all files that are held."""
        query = sa.select(sa.func.coalesce(sa.func.sum(instances.c.bytes), 0)).where(instances.c.file.is_not(None))
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def move(self, job_id: str, state: str, **values: Any) -> None:
        """Enter a state and set columns with it. Raises Conflict where the job's state does not allow it."""
        allowed = [before for before, after in _NEXT.items() if state in after]
        change = sa.update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(allowed))
        with self._database.transaction() as connection:
            found = connection.execute(change.values(state=state, updated=time.time(), **values))
            if not found.rowcount:
                raise Conflict(f"The job is not in a state that can become {state}.")

    def again(self, job_id: str, enqueue: Callable[[sa.Connection, str, str], None]) -> None:
        """Run a failed or cancelled job again, from its documents where it has some. Raises NotFound, Conflict."""
        job = self.get(job_id)
        state = DELIVERING if job.documents else WAITING
        change = sa.update(jobs).where(
            jobs.c.id == job_id, jobs.c.state.in_((FAILED, CANCELLED)), jobs.c.runs == job.runs
        )
        with self._database.transaction() as connection:
            values = {"state": state, "runs": job.runs + 1, "attempts": 0, "reason": None, "updated": time.time()}
            if not connection.execute(change.values(**values)).rowcount:
                raise Conflict("Only a failed or cancelled job can be run again.")
            enqueue(connection, job_id, f"{job_id}-{job.runs + 1}")

    def set(self, job_id: str, **values: Any) -> None:
        """Set columns without a change of state."""
        with self._database.transaction() as connection:
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(updated=time.time(), **values))

    def begin_attempt(self, job_id: str) -> int:
        """Count an attempt before it begins, so that one which kills the process is counted too."""
        with self._database.transaction() as connection:
            change = sa.update(jobs).where(jobs.c.id == job_id).values(attempts=jobs.c.attempts + 1)
            return int(connection.execute(change.returning(jobs.c.attempts)).scalar_one())

    def add_step(self, job_id: str, name: str, started: float, seconds: float) -> None:
        """Note that a step has ended."""
        with self._database.transaction() as connection:
            query = sa.select(jobs.c.steps).where(jobs.c.id == job_id).with_for_update()
            steps = [*connection.execute(query).scalar_one()]
            steps.append({"name": name, "started": started, "ms": round(seconds * 1000.0, 1)})
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(steps=steps, updated=time.time()))

    def close_revision(self, job_id: str, quiet_seconds: float, now: float) -> float:
        """Close the revision where its study has been quiet for long enough; returns how much longer to wait, 0 then.

        In one transaction: an instance that arrives meanwhile either is in the revision or opens the next one.
        """
        remaining = self.get(job_id).last_received + quiet_seconds - now
        if remaining > 0.0:
            return remaining  # without a lock that arrivals would wait for
        with self._database.transaction() as connection:
            job = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one()
            held = sa.select(studies.c.job).where(studies.c.study_uid == job.study_uid).with_for_update()
            if connection.execute(held).scalar_one() != job_id:
                return 0.0
            # Read again: an arrival may have held the study's lock until now.
            last = connection.execute(sa.select(jobs.c.last_received).where(jobs.c.id == job_id)).scalar_one()
            remaining = float(last) + quiet_seconds - now
            if remaining > 0.0:
                return remaining
            connection.execute(sa.update(studies).where(studies.c.study_uid == job.study_uid).values(job=None))
        return 0.0

    def release_revision(self, job_id: str) -> None:
        """Close the revision at once: its job was cancelled or has failed."""
        with self._database.transaction() as connection:
            connection.execute(sa.update(studies).where(studies.c.job == job_id).values(job=None))

    def inputs(self, study_uid: str) -> list[dict[str, Any]]:
        """Rows of the instances that were received of a study, in the order of their arrival."""
        query = (
            sa.select(instances)
            .where(instances.c.study_uid == study_uid, instances.c.origin == "input")
            .order_by(instances.c.received, instances.c.sop_instance_uid)
        )
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def earlier(self, job: Job) -> list[Job]:
        """Finished jobs of the same study with a report, latest first."""
        found, _ = self.find(states=(DONE,), study_uid=job.study_uid, limit=20)
        return [other for other in found if other.revision < job.revision and other.report is not None]

    def deliveries(self, job_id: str) -> list[Delivery]:
        """How far each destination has come."""
        query = sa.select(deliveries).where(deliveries.c.job == job_id).order_by(deliveries.c.destination)
        with self._database.reading() as connection:
            return [
                Delivery(row.destination, row.state, row.attempts, row.error, row.updated)
                for row in connection.execute(query)
            ]

    def note_delivery(self, job_id: str, destination: str, state: str, attempts: int, error: str | None = None) -> None:
        """Note the outcome of an attempt at one destination."""
        values = {"state": state, "attempts": attempts, "error": error, "updated": time.time()}
        mine = (deliveries.c.job == job_id, deliveries.c.destination == destination)
        with self._database.transaction() as connection:
            self._database.insert_new(connection, deliveries, [{"job": job_id, "destination": destination, **values}])
            connection.execute(sa.update(deliveries).where(*mine).values(**values))
