"""What becomes of a study, as three workflows of steps. READ THIS FIRST.

read:    wait until complete -> encode the frontal image -> generate the report -> write the documents
write:   write the documents of a report that was held back for review and is released
deliver: to every destination -> notify
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from app.errors import Conflict
from app.ingest.ingestor import Ingestor
from app.jobs.delivery_steps import DeliverySteps
from app.jobs.report_steps import ReportSteps
from app.jobs.steps import JobFailed, StepRunner, retry_transient
from app.jobs.write_step import WriteStep
from app.settings import StudySettings
from app.store.job_states import FINAL, JobState
from app.store.jobs import Jobs
from app.store.records import Reason, Run
from app.telemetry.metrics import JOBS_ENDED

log = structlog.get_logger(__name__)

_POLL_SECONDS = 1.0


class StudyWorkflow:
    """The workflows of a job. DBOS runs them again from their last checkpoint after a kill."""

    def __init__(
        self,
        settings: StudySettings,
        jobs: Jobs,
        ingestor: Ingestor,
        runner: StepRunner,
        report: ReportSteps,
        write: WriteStep,
        delivery: DeliverySteps,
        enqueue_delivery: Callable[[Run], Awaitable[None]],
    ) -> None:
        self._study = settings
        self._jobs = jobs
        self._ingestor = ingestor
        self._step = runner.run
        self._report = report
        self._write = write.write
        self._delivery = delivery
        self._enqueue_delivery = enqueue_delivery

    async def read(self, run: Run) -> None:
        """From the first instance to the written documents. Ends where the job is cancelled or run again."""
        try:
            try:
                await self._step(run, "wait", self._wait_until_complete)
                if await self._step(run, "encode", self._report.encode):
                    await self._step(run, "generate", self._report.generate)
                    await self._step(run, "write", self._write)
            except JobFailed as failure:
                await self._fail(run, failure.reason)
        except Conflict:
            return
        finally:
            self._report.over(run)
        await self._go_on(run)

    async def write(self, run: Run) -> None:
        """From a released report to the written documents. Ends where the job is cancelled or run again."""
        try:
            try:
                await self._step(run, "write", self._write)
            except JobFailed as failure:
                await self._fail(run, failure.reason)
        except Conflict:
            return
        await self._go_on(run)

    async def _go_on(self, run: Run) -> None:
        job = await retry_transient(self._jobs.get, run.job_id)
        if job.runs != run.number:
            return  # it was released, or run again, before this was repeated after a kill
        if job.state is JobState.DELIVERING:
            await self._enqueue_delivery(run)
        elif job.state is JobState.REVIEW:
            await self._notify(run)
        elif job.state in FINAL:
            await self._end(run, job.state)

    async def deliver(self, run: Run) -> None:
        """From the written documents to the destinations. Ends where the job is cancelled or run again."""
        names = self._delivery.names
        try:
            try:
                # Side by side: a destination that is down delays no other.
                refusals = await asyncio.gather(
                    *(self._step(run, f"deliver:{name}", self._delivery.deliver, name) for name in names)
                )
                refused = [name for name, code in zip(names, refusals, strict=True) if code]
                if refused:
                    raise JobFailed("delivery_failed", f"Not delivered to {', '.join(refused)}.")
                await retry_transient(self._jobs.move, run, JobState.DONE)
            except JobFailed as failure:
                await self._fail(run, failure.reason)
        except Conflict:
            return
        await self._end(run, await self._state(run))

    async def _end(self, run: Run, state: JobState) -> None:
        JOBS_ENDED.labels(state=state).inc()
        await self._notify(run)

    async def _notify(self, run: Run) -> None:
        # Nothing is under way that a cancel could end, and another run sends its own message.
        await self._step(run, "notify", self._delivery.notify, guarded=False)

    async def _state(self, run: Run) -> JobState:
        return (await retry_transient(self._jobs.get, run.job_id)).state

    async def _fail(self, run: Run, reason: Reason) -> None:
        log.warning("study failed", job=run.job_id, code=reason.code)
        await retry_transient(self._jobs.fail, run, reason)

    async def _wait_until_complete(self, run: Run) -> None:
        """A study is complete when its senders are gone and it has been quiet for a while."""
        await self._jobs.move(run, JobState.WAITING)
        study = (await self._jobs.get(run.job_id)).study_uid
        while True:
            if self._ingestor.is_being_sent(study):
                await asyncio.sleep(min(_POLL_SECONDS, self._study.quiet_seconds or 0.1))
                continue
            remaining = await self._jobs.close_revision(run, self._study.quiet_seconds)
            if remaining <= 0.0:
                return
            # An instance that arrives while it sleeps only moves the end further away.
            await asyncio.sleep(remaining)
