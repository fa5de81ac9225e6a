"""What becomes of a study, as two workflows of steps. READ THIS FIRST.

read:    wait until complete -> encode the frontal image -> generate the report -> write the documents
deliver: to every destination -> notify
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from app.errors import Conflict
from app.ingest.ingestor import Custody
from app.jobs.delivery_steps import Sender
from app.jobs.report_steps import Reader
from app.jobs.steps import JobFailed, patiently, run_step
from app.settings import StudySettings
from app.store.jobs import CANCELLED, DELIVERING, DONE, FAILED, FINAL, WAITING, Job, Jobs
from app.telemetry.metrics import JOBS_ENDED

log = structlog.get_logger(__name__)

_POLL_SECONDS = 1.0


class StudyWork:
    """The workflows of a job. DBOS runs them again from their last checkpoint after a kill."""

    def __init__(
        self,
        settings: StudySettings,
        jobs: Jobs,
        custody: Custody,
        reader: Reader,
        sender: Sender,
        enqueue_delivery: Callable[[str], Awaitable[None]],
    ) -> None:
        self._study = settings
        self._jobs = jobs
        self._custody = custody
        self._reader = reader
        self._sender = sender
        self._enqueue_delivery = enqueue_delivery

    async def read(self, job_id: str) -> None:
        """From the first instance to the written documents."""
        try:
            await run_step(self._jobs, job_id, "wait", self._wait_until_complete)
            if await run_step(self._jobs, job_id, "encode", self._reader.encode):
                await run_step(self._jobs, job_id, "generate", self._reader.generate)
                await run_step(self._jobs, job_id, "write", self._reader.write)
        except Conflict:
            return
        except JobFailed as failure:
            await self._fail(job_id, failure.reason)
        state = await self._state(job_id)
        if state == DELIVERING:
            await self._enqueue_delivery(job_id)
        elif state in FINAL:
            await self._ended(job_id, state)

    async def deliver(self, job_id: str) -> None:
        """From the written documents to the destinations."""
        names = self._sender.names
        try:
            # Side by side: a destination that is down delays no other.
            refusals = await asyncio.gather(
                *(run_step(self._jobs, job_id, f"deliver:{name}", self._sender.deliver, name) for name in names)
            )
            refused = [name for name, code in zip(names, refusals, strict=True) if code]
            if refused:
                raise JobFailed("delivery_failed", f"Not delivered to {', '.join(refused)}.")
            await patiently(asyncio.to_thread, self._jobs.move, job_id, DONE)
        except Conflict:
            return
        except JobFailed as failure:
            await self._fail(job_id, failure.reason)
        await self._ended(job_id, await self._state(job_id))

    async def _ended(self, job_id: str, state: str) -> None:
        JOBS_ENDED.labels(state=state).inc()
        await run_step(self._jobs, job_id, "notify", self._sender.notify)

    async def _state(self, job_id: str) -> str:
        job: Job = await patiently(asyncio.to_thread, self._jobs.get, job_id)
        return job.state

    async def _fail(self, job_id: str, reason: dict[str, str]) -> None:
        log.warning("study failed", job=job_id, code=reason["code"])
        await patiently(asyncio.to_thread, self._jobs.release_revision, job_id)
        try:
            await patiently(asyncio.to_thread, partial(self._jobs.move, job_id, FAILED, reason=reason))
        except Conflict:
            log.info("a cancelled study has failed", job=job_id)

    async def _wait_until_complete(self, job_id: str) -> None:
        """A study is complete when its senders are gone and it has been quiet for a while."""
        await asyncio.to_thread(self._jobs.move, job_id, WAITING)
        study = (await asyncio.to_thread(self._jobs.get, job_id)).study_uid
        while True:
            if self._custody.is_being_sent(study):
                await asyncio.sleep(min(_POLL_SECONDS, self._study.quiet_seconds or 0.1))
                continue
            remaining = await asyncio.to_thread(
                self._jobs.close_revision, job_id, self._study.quiet_seconds, time.time()
            )
            if remaining <= 0.0:
                return
            # An instance that arrives meanwhile only moves the end further away.
            await asyncio.sleep(remaining)
            if await self._state(job_id) == CANCELLED:
                raise Conflict("The job was cancelled.")
