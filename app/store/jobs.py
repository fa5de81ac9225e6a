"""Jobs: one revision of a study from its first instance to its delivered report."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from app.errors import Conflict
from app.store.job_reader import JobReader, job_of
from app.store.job_states import OPEN, WORKED_ON, Begin, JobState
from app.store.record import Record, column_values
from app.store.records import Job, Reason, Run, Step
from app.store.tables import jobs, studies
from app.store.transitions import OPERATOR, WORKFLOW, before

# Puts a run of a job among what is to be done, as part of a transaction.
Enqueue = Callable[[sa.Connection, Run, Begin], None]


class Jobs(JobReader):
    """Reads and moves jobs. What a workflow writes carries its run, and is refused once the run is over."""

    async def move(self, run: Run, state: JobState, **values: Any) -> None:
        """As the workflow of `run`: enter a state and set columns with it. Raises Conflict where it may not."""
        await self._database.write(lambda connection: self.move_in(connection, run, state, **values))

    def move_in(self, connection: sa.Connection, run: Run, state: JobState, **values: Any) -> None:
        """The same as part of a transaction."""
        self._change(connection, run, before(WORKFLOW, state), state=state, **values)

    async def update(self, run: Run, **values: Any) -> None:
        """As the workflow of `run`: set columns without a change of state. Raises Conflict where the run is over."""
        await self._database.write(lambda connection: self._change(connection, run, list(OPEN), **values))

    def _change(self, connection: sa.Connection, run: Run, allowed: Sequence[JobState], **values: Any) -> None:
        mine = (jobs.c.id == run.job_id, jobs.c.runs == run.number, jobs.c.state.in_(allowed))
        change = sa.update(jobs).where(*mine).values(updated=self._database.clock, **column_values(values))
        if not connection.execute(change).rowcount:
            raise Conflict("The job was cancelled, or another run of it has begun.")

    async def fail(self, run: Run, reason: Reason) -> None:
        """As the workflow of `run`: end the job as failed and close its revision. Raises Conflict where it may not."""

        def fail(connection: sa.Connection) -> None:
            _lock_study(connection, run.job_id)
            self.move_in(connection, run, JobState.FAILED, reason=reason)
            _close_revision(connection, run.job_id)

        await self._database.write(fail)

    async def cancel(self, job_id: str) -> None:
        """As an operator: cancel an open job and close its revision, so that later instances open the next one.

        Nothing changes where the job is cancelled already. Raises NotFound, and Conflict where it is over.
        """

        def cancel(connection: sa.Connection) -> None:
            _lock_study(connection, job_id)
            mine = (jobs.c.id == job_id, jobs.c.state.in_(before(OPERATOR, JobState.CANCELLED)))
            change = sa.update(jobs).where(*mine).values(state=JobState.CANCELLED, updated=self._database.clock)
            if not connection.execute(change).rowcount and job_of(connection, job_id).state is not JobState.CANCELLED:
                raise Conflict("The job is over and cannot be cancelled.")
            _close_revision(connection, job_id)

        await self._database.write(cancel)

    async def retry(self, job_id: str, enqueue: Enqueue) -> None:
        """As an operator: run a failed or cancelled job again, from its documents or its released report where it has
        them. Raises NotFound, Conflict.
        """

        def retry(connection: sa.Connection) -> None:
            job = job_of(connection, job_id)
            if job.state is JobState.REVIEW:
                raise Conflict("The job is in review: release it, or cancel it.")
            self._run_again(connection, job, job.begins_with, enqueue, reason=None)

        await self._database.write(retry)

    async def release(self, job_id: str, enqueue: Enqueue) -> None:
        """As an operator: have the report of a job in review written and delivered. Raises NotFound, Conflict."""

        def release(connection: sa.Connection) -> None:
            job = job_of(connection, job_id)
            if job.state is not JobState.REVIEW or job.report is None:
                raise Conflict("Only a job in review can be released.")
            report = replace(job.report, review="released")
            self._run_again(connection, job, Begin.WRITE, enqueue, report=report)

        await self._database.write(release)

    def _run_again(
        self, connection: sa.Connection, job: Job, begin: Begin, enqueue: Enqueue, **changed: Record | None
    ) -> None:
        run, allowed = Run(job.id, job.runs + 1), before(OPERATOR, begin.state)
        mine = (jobs.c.id == job.id, jobs.c.state == job.state, jobs.c.state.in_(allowed), jobs.c.runs == job.runs)
        values = {"state": begin.state, "runs": run.number, "attempts": 0, **column_values(changed)}
        change = sa.update(jobs).where(*mine).values(updated=self._database.clock, **values)
        if not connection.execute(change).rowcount:
            raise Conflict("Only a failed or cancelled job can be run again.")
        enqueue(connection, run, begin)

    async def take_up(self, run: Run, enqueue: Enqueue) -> None:
        """Begin another run of an open job whose run has no workflow any more. Raises Conflict where it has moved."""

        def take_up(connection: sa.Connection) -> None:
            begin = job_of(connection, run.job_id).begins_with
            self._change(connection, run, list(WORKED_ON), state=begin.state, runs=run.number + 1)
            enqueue(connection, Run(run.job_id, run.number + 1), begin)

        await self._database.write(take_up)

    async def begin_attempt(self, run: Run) -> int:
        """Count an attempt before it begins, so that one which kills the process is counted too."""

        def begin(connection: sa.Connection) -> int:
            self._change(connection, run, list(OPEN), attempts=jobs.c.attempts + 1)
            return job_of(connection, run.job_id).attempts

        return await self._database.write(begin)

    async def add_step(self, run: Run, step: Step) -> None:
        """Note that a step of the run has ended."""

        def add(connection: sa.Connection) -> None:
            mine = (jobs.c.id == run.job_id, jobs.c.runs == run.number)
            held = connection.execute(sa.select(jobs.c.steps).where(*mine).with_for_update()).scalar_one_or_none()
            if held is not None:
                steps = [*held, *column_values({"step": step}).values()]
                connection.execute(sa.update(jobs).where(*mine).values(steps=steps, updated=self._database.clock))

        await self._database.write(add)

    async def close_revision(self, run: Run, quiet_seconds: float) -> float:
        """Close the revision where its study has been quiet for long enough; returns how much longer to wait, 0 then.

        In one transaction: an instance that arrives meanwhile either is in the revision or opens the next one.
        """

        def remaining(connection: sa.Connection) -> float:
            last = connection.execute(sa.select(jobs.c.last_received).where(jobs.c.id == run.job_id)).scalar_one()
            return float(last) + quiet_seconds - self._database.now(connection)

        def close(connection: sa.Connection) -> float:
            # An arrival may have held the study's lock until now.
            if _lock_study(connection, run.job_id) == run.job_id and (left := remaining(connection)) > 0.0:
                if left <= quiet_seconds:
                    return left
                # The clock was set back since: the study would wait for as long as that.
                now = {"last_received": self._database.clock}
                connection.execute(sa.update(jobs).where(jobs.c.id == run.job_id).values(now))
                return quiet_seconds
            _close_revision(connection, run.job_id)
            return 0.0

        left = await self._database.read(remaining)
        # Without a lock that arrivals would wait for.
        return left if 0.0 < left <= quiet_seconds else await self._database.write(close)


def _lock_study(connection: sa.Connection, job_id: str) -> str | None:
    """The open job of the study that the job is of, locked before the job's row, as an arrival locks them."""
    study = sa.select(jobs.c.study_uid).where(jobs.c.id == job_id).scalar_subquery()
    query = sa.select(studies.c.job).where(studies.c.study_uid == study).with_for_update()
    return connection.execute(query).scalar_one_or_none()


def _close_revision(connection: sa.Connection, job_id: str) -> None:
    connection.execute(sa.update(studies).where(studies.c.job == job_id).values(job=None))
