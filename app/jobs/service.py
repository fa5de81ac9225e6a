"""Studies as the routes see them: taken in, found, worked on. Builds what works on them."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from app.delivery.outbox import Outbox
from app.delivery.webhook import Webhook
from app.errors import CxrError, NotFound
from app.imaging.headers import Headers
from app.inference.lifecycle import Lifecycle
from app.inference.priority import PriorityGate
from app.ingest.ingestor import Ingestor
from app.ingest.protocol import Ingest
from app.ingest.scp import StorageScp
from app.ingest.study_tokens import Reserve, StudyTokens
from app.jobs import documents
from app.jobs.cancellation import CancellationWatch
from app.jobs.dbos import WorkflowEngine
from app.jobs.delivery_steps import DeliverySteps
from app.jobs.erasure import Eraser
from app.jobs.nodes import NodeLock
from app.jobs.occupancy import Occupancy, occupancy_of
from app.jobs.operations import Operations
from app.jobs.report_steps import ReportSteps
from app.jobs.retention import Retention
from app.jobs.steps import StepRunner
from app.jobs.triage import finding_tokens
from app.jobs.workflow import StudyWorkflow
from app.jobs.write_step import WriteStep
from app.security.audit import AuditLog, Kind
from app.security.identity import Identity
from app.security.limiter import Limiter
from app.settings import Settings
from app.store import state_folder
from app.store.database import Database, database_url
from app.store.deliveries import Deliveries
from app.store.erasure import Erased, Target
from app.store.integrity import verify
from app.store.job_reader import Order
from app.store.jobs import Jobs
from app.store.owners import EVERYTHING, Viewer
from app.store.records import Delivery, Job
from app.store.results import Results
from app.store.scratch import Scratch
from app.store.search import Query, Search, StoredInstance
from app.store.spool import Spool


class StudyService:
    """Everything that takes, keeps and works on studies, for the event loop."""

    def __init__(
        self,
        settings: Settings,
        lifecycle: Lifecycle,
        gate: PriorityGate,
        headers: Headers,
        audit: AuditLog | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        """Open the database and the spool. Raises CxrError. Blocks: to be called off the event loop."""
        self._settings = settings
        self._audit = audit
        self._limiter = limiter
        each, study = settings.limits.study_tokens, settings.study
        self._tokens = StudyTokens(each * (1 + study.samples), finding_tokens(lifecycle, study, each))
        self._headers = headers
        self._lock = NodeLock(settings.state_dir, settings.node)
        self._lock.acquire()
        self._spool = Spool(settings.state_dir / "spool", settings.limits.min_free_mb)
        self.scratch = partial(Scratch, self._spool)
        with contextlib.ExitStack() as opened:
            opened.callback(self._lock.release)
            self.database = Database(database_url(settings.database_url, settings.state_dir))
            opened.callback(self.database.close)
            state_folder.claim(self.database, self._spool)
            state_folder.set_unknown_aside(self.database, self._spool)
            opened.pop_all()
        self._jobs = Jobs(self.database)
        self._deliveries = Deliveries(self.database)
        self._search = Search(self.database)
        self._results = Results(self.database, self._spool)
        self._engine = WorkflowEngine(settings, self.database)
        database, spool, policy = self.database, self._spool, settings.study.on_change
        self._ingestor = Ingestor(spool, database, self._engine.enqueue_reading, headers, self._tokens, policy)
        self._retention = Retention(settings.study, database, spool, self.erase, self._note_removal, headers)
        self._watch = CancellationWatch(self._jobs)
        self.operations = Operations(self._jobs, self._engine, self._tokens, self._watch)
        self._workflow = self._build_workflow(lifecycle, gate)
        self._background: list[asyncio.Task[None]] = []
        self.scp: StorageScp | None = None
        self.accepting = False

    def _build_workflow(self, lifecycle: Lifecycle, gate: PriorityGate) -> StudyWorkflow:
        study, jobs, results = self._settings.study, self._jobs, self._results
        outbox = Outbox.from_settings(self._settings)
        spool, headers, tokens, audit = self._spool, self._headers, self._tokens, self._audit
        delivers, zone = bool(outbox.names), self._settings.zone
        report = ReportSteps(study, lifecycle, gate, jobs, spool, tokens, audit)
        write = WriteStep(study, jobs, results, spool, headers, delivers, audit, zone)
        webhook = Webhook.from_settings(self._settings.webhook)
        delivery = DeliverySteps(study, jobs, self._deliveries, results, outbox, webhook, self._audit)
        steps = (StepRunner(jobs, self._watch), report, write, delivery)
        return StudyWorkflow(study, jobs, self._ingestor, *steps, self._engine.enqueue_delivery)

    async def start(self) -> None:
        """Go on with what an earlier process left, and begin to accept. Raises CxrError."""
        await self._engine.start(self._workflow)
        await asyncio.to_thread(self._ingestor.start)
        assert self._engine.nodes is not None
        reconciler = self._engine.reconciler(self._jobs)
        loops = (self._retention.run(), self._engine.nodes.run(), self._watch.run(), reconciler.run())
        self._background = [asyncio.create_task(loop) for loop in loops]
        if self._settings.dimse_refusal is not None:
            raise CxrError(self._settings.dimse_refusal, code="dimse_refused")
        if self._settings.dimse.port is not None:
            max_bytes = self._settings.limits.max_instance_mb * 1_000_000
            dimse, host = self._settings.dimse, self._settings.host
            self.scp = StorageScp(dimse, host, self._ingestor, max_bytes, self._audit, self._reserve)
            try:
                await asyncio.to_thread(self.scp.start)
            except (OSError, ValueError) as error:
                raise CxrError("The DIMSE port or its TLS files cannot be used.", code="dimse_refused") from error
        self.accepting = True

    def _reserve(self, owner: str) -> Reserve | None:
        return None if self._limiter is None else partial(self._limiter.reserve, Identity(owner, frozenset()))

    @property
    def ingest(self) -> Ingest:
        """Where received instances go."""
        return self._ingestor

    async def get(self, job_id: str, viewer: Viewer = EVERYTHING) -> Job:
        """One job that the viewer sees. Raises NotFound."""
        return await self._jobs.get(job_id, viewer)

    async def patients(self, studies: Collection[str]) -> set[str]:
        """The Patient IDs of studies."""
        return await self._jobs.patients(studies)

    async def deliveries(self, job_id: str) -> list[Delivery]:
        """How far each destination of a job has come."""
        return await self._deliveries.of_job(job_id)

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
        """Jobs that the viewer sees, newest or most urgent first, and how many there are in all."""
        page = {"limit": limit, "offset": offset}
        return await self._jobs.find(states=states, study_uid=study_uid, viewer=viewer, order=order, **page)

    async def document(self, job_id: str, viewer: Viewer = EVERYTHING) -> tuple[Job, Path | None]:
        """A job with a report, and the file of its first document. Raises NotFound, Gone."""
        job = await self._jobs.get(job_id, viewer)
        if job.report is None:
            raise NotFound("The job has no report.")
        return job, (await self._results.files(job.documents[:1]))[0] if job.documents else None

    async def fhir(self, job: Job, document: Path) -> bytes:
        """A job's report as a FHIR DiagnosticReport, with the patient and study attributes of its document."""
        assert job.report is not None
        return await asyncio.to_thread(documents.fhir_of, job, document, self._headers, self._settings.zone)

    async def search(self, query: Query) -> tuple[list[dict[str, Any]], bool]:
        """DICOM JSON of what matches, and whether there is more behind the page. Raises InvalidRequest."""
        return await self._search.find(query)

    async def instances(
        self, study: str, series: str | None = None, sop: str | None = None, viewer: Viewer = EVERYTHING
    ) -> list[tuple[StoredInstance, Path]]:
        """A study's, a series' or one instance that the viewer sees, with their files.

        Raises NotFound where no file is held, Gone where one is missing or damaged.
        """
        found = await self._search.instances(study, series, sop, viewer)
        held = [instance for instance in found if instance.file is not None]
        if not held:
            raise NotFound("Nothing of it is held." if not found else "The retention time of its pixel data is over.")
        return await asyncio.to_thread(self._verified, held)

    def _verified(self, held: Sequence[StoredInstance]) -> list[tuple[StoredInstance, Path]]:
        return [(instance, verify(self._spool, instance)) for instance in held]

    async def erase(self, target: Target) -> Erased:
        """Remove all that is held of a target. Raises NotFound, Conflict."""
        eraser = Eraser(self.database, self._spool, self._headers, self._engine.client)
        erased = await eraser.erase(target)
        for job in erased.jobs:
            self._tokens.settle(job, 0)
        return erased

    async def _note_removal(self, what: str, studies: set[str], count: int, patients: set[str] | None) -> None:
        if self._audit is not None:
            what = f"retention of {what}"
            patients = await self._jobs.patients(studies) if patients is None else patients
            self._audit.note(Kind.EXPIRED, "service", what, "ok", studies=studies, patients=patients, instances=count)

    async def occupancy(self) -> Occupancy:
        """What is held, for the gauges. Raises OSError, SQLAlchemyError."""
        return await occupancy_of(self._jobs, self._spool)

    async def remove_due(self) -> int:
        """Remove the pixel data whose retention is over now; returns how many files."""
        return await self._retention.sweep()

    async def stop(self) -> None:
        """Stop accepting; what is under way stays as it is recorded and goes on after the next start."""
        self.accepting = False
        async with contextlib.AsyncExitStack() as parts:  # each is stopped though another cannot be
            parts.push_async_callback(self._engine.close)
            parts.push_async_callback(asyncio.to_thread, self._ingestor.close)
            parts.push_async_callback(self._engine.interrupt)
            parts.push_async_callback(self._end_background)
            if self.scp is not None:
                parts.push_async_callback(asyncio.to_thread, self.scp.stop)

    async def _end_background(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def close(self) -> None:
        """Close the database, after `stop` and the last event of the audit log."""
        self.database.close()
        self._lock.release()
