"""Delivering what was written: to each destination, and the message that a job is over or in review."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from app.delivery.backoff import backoff_seconds
from app.delivery.outbox import Outbox
from app.delivery.webhook import Webhook
from app.errors import DeliveryFailed, Gone
from app.jobs.documents import event_of
from app.jobs.steps import JobFailed
from app.security.audit import AuditLog, Kind
from app.settings import StudySettings
from app.store.deliveries import Deliveries
from app.store.jobs import Jobs
from app.store.records import DOCUMENT_LOST, Run
from app.store.results import Results
from app.telemetry import metrics
from app.telemetry.timings import Timings

log = structlog.get_logger(__name__)


class DeliverySteps:
    """The steps `deliver:NAME` and `notify`."""

    def __init__(
        self,
        settings: StudySettings,
        jobs: Jobs,
        deliveries: Deliveries,
        results: Results,
        outbox: Outbox,
        webhook: Webhook | None,
        audit: AuditLog | None = None,
    ) -> None:
        self._study = settings
        self._jobs = jobs
        self._deliveries = deliveries
        self._results = results
        self._outbox = outbox
        self._webhook = webhook
        self._audit = audit

    @property
    def names(self) -> tuple[str, ...]:
        """The destinations."""
        return self._outbox.names

    async def deliver(self, run: Run, name: str) -> str | None:
        """Deliver to one destination; returns the code of its refusal."""
        job_id = run.job_id
        delivered = {item.destination for item in await self._deliveries.of_job(job_id) if item.state == "delivered"}
        if name in delivered:
            return None
        attempts = 0

        async def files() -> Sequence[Path]:
            return await self._results.files((await self._jobs.get(job_id)).documents)

        async def note(count: int, error: str) -> None:
            nonlocal attempts
            attempts = count
            metrics.DELIVERIES.labels(destination=name, outcome="refused").inc()
            await self._deliveries.note(job_id, name, "pending", count, error)

        try:
            with Timings().stage("deliver"):
                await self._outbox.deliver(name, files, note)
        except Gone as error:
            detail = f"A document cannot be delivered. {error.detail} A retry writes it again."
            raise JobFailed(DOCUMENT_LOST, detail) from error
        except DeliveryFailed as error:
            await self._record(job_id, name, error.code)
            await self._deliveries.note(job_id, name, "failed", attempts + 1, error.code)
            return error.code
        await self._deliveries.note(job_id, name, "delivered", attempts + 1)
        metrics.DELIVERIES.labels(destination=name, outcome="delivered").inc()
        await self._record(job_id, name, "delivered")
        return None

    async def _record(self, job_id: str, name: str, outcome: str) -> None:
        if self._audit is not None:
            job = await self._jobs.get(job_id)
            patients = await self._jobs.patients([job.study_uid])
            self._audit.note(
                Kind.DELIVERED,
                "service",
                f"deliver to {name}",
                outcome,
                studies=[job.study_uid],
                patients=patients,
                instances=len(job.documents),
                job=job_id,
                destination=name,
            )

    async def notify(self, run: Run) -> None:
        """Send the webhook the event that the job is over, or in review."""
        if self._webhook is None:
            return
        job = await self._jobs.get(run.job_id)
        if job.runs != run.number:
            return  # another run of it has begun, which sends its own
        body = event_of(job)
        for failures in range(1, self._study.max_attempts + 1):
            try:
                await self._webhook.send(f"job.{job.state}", body, message_id=f"{job.id}-{run.number}")
                if self._audit is not None:
                    self._audit.note(Kind.NOTIFIED, "service", "notify", "ok", studies=[job.study_uid], job=job.id)
                return
            except DeliveryFailed as error:
                log.warning("webhook failed", job=job.id, code=error.code)
                if error.permanent:
                    return
            await asyncio.sleep(backoff_seconds(failures, self._study.retry_seconds, self._study.max_retry_seconds))
