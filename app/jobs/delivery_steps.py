"""Sending what was written: to each destination, and the word that a job is over."""

import asyncio

import structlog

from app.delivery.outbox import Outbox
from app.delivery.webhook import Webhook
from app.errors import Conflict, DeliveryFailed
from app.jobs.documents import event_of
from app.security.audit import AuditLog
from app.settings import StudySettings
from app.store.jobs import CANCELLED, Job, Jobs
from app.store.results import Results
from app.telemetry import metrics
from app.telemetry.timings import Timings

log = structlog.get_logger(__name__)


class Sender:
    """The steps `deliver:NAME` and `notify`."""

    def __init__(
        self,
        settings: StudySettings,
        jobs: Jobs,
        results: Results,
        outbox: Outbox,
        webhook: Webhook | None,
        audit: AuditLog | None = None,
    ) -> None:
        self._study = settings
        self._jobs = jobs
        self._results = results
        self._outbox = outbox
        self._webhook = webhook
        self._audit = audit

    @property
    def names(self) -> tuple[str, ...]:
        """The destinations."""
        return self._outbox.names

    async def _job(self, job_id: str) -> Job:
        return await asyncio.to_thread(self._jobs.get, job_id)

    async def deliver(self, job_id: str, name: str) -> str | None:
        """Deliver to one destination; returns the code of its refusal."""
        job = await self._job(job_id)
        done = {
            item.destination
            for item in await asyncio.to_thread(self._jobs.deliveries, job_id)
            if item.state == "delivered"
        }
        if name in done:
            return None
        files = await asyncio.to_thread(self._results.files, job.documents)
        attempts = 0

        async def note(count: int, error: str) -> None:
            nonlocal attempts
            attempts = count
            metrics.DELIVERIES.labels(destination=name, outcome="refused").inc()
            await asyncio.to_thread(self._jobs.note_delivery, job_id, name, "pending", count, error)
            if (await self._job(job_id)).state == CANCELLED:
                raise Conflict("The job was cancelled.")

        try:
            with Timings().stage("deliver"):
                await self._outbox.deliver(name, files, note)
        except DeliveryFailed as error:
            self._record(job_id, name, error.code)
            await asyncio.to_thread(self._jobs.note_delivery, job_id, name, "failed", attempts + 1, error.code)
            return error.code
        await asyncio.to_thread(self._jobs.note_delivery, job_id, name, "delivered", attempts + 1)
        metrics.DELIVERIES.labels(destination=name, outcome="delivered").inc()
        self._record(job_id, name, "delivered")
        return None

    def _record(self, job_id: str, name: str, outcome: str) -> None:
        if self._audit is not None:
            self._audit.note("service", f"deliver to {name}", outcome, job=job_id)

    async def notify(self, job_id: str) -> None:
        """Tell the webhook that the job is over."""
        if self._webhook is None:
            return
        job = await self._job(job_id)
        body = event_of(job)
        for attempt in range(self._study.max_attempts):
            try:
                await self._webhook.send(f"job.{job.state}", body, message_id=f"{job_id}-{job.runs}")
                return
            except DeliveryFailed as error:
                log.warning("webhook failed", job=job_id, code=error.code)
                if error.permanent:
                    return
            await asyncio.sleep(min(self._study.retry_seconds * 2.0**attempt, self._study.max_retry_seconds))
