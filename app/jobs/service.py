"""The durable part of the service: its database, its spool, and DBOS, which runs the workflows.

DBOS's registry is global to the process, and so is the work that the registered workflows run.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSClient, SetWorkflowID

from app.delivery.outbox import Outbox
from app.delivery.webhook import Webhook
from app.errors import CxrError
from app.inference.lifecycle import Lifecycle
from app.inference.priority import Share
from app.ingest.ingestor import Custody
from app.ingest.scp import StorageScp
from app.jobs.delivery_steps import Sender
from app.jobs.nodes import NodeLock, Nodes
from app.jobs.report_steps import Reader
from app.jobs.retention import Retention
from app.jobs.workflow import StudyWork
from app.security.audit import AuditLog
from app.settings import Settings
from app.store.database import Database, database_url
from app.store.jobs import Jobs
from app.store.results import Results
from app.store.search import Search
from app.store.spool import Spool
from app.telemetry import tracing

log = structlog.get_logger(__name__)

_NAME = "cxr"
# A constant: DBOS recovers only workflows of its own version, and an upgrade has to go on with the studies it finds.
# It changes when the order of the steps does, which ends what is under way in a way that `Jobs.again` mends.
_VERSION = "1"
_READ, _DELIVER = "cxr_read_study", "cxr_deliver_study"
_READ_QUEUE, _DELIVERY_QUEUE = "cxr_read", "cxr_deliver"
_POLL_SECONDS = 0.5
_THREADS = 64

_work: StudyWork | None = None
_tasks: set["asyncio.Task[Any]"] = set()


def _queue_of(workflow: str) -> str:
    return _DELIVERY_QUEUE if workflow == _DELIVER else _READ_QUEUE


async def _run(name: str, trace: str | None, workflow: Callable[[StudyWork], Awaitable[None]]) -> None:
    task = asyncio.current_task()
    if _work is None or task is None:
        raise asyncio.CancelledError  # the service is closing: it stays enqueued for the next start
    _tasks.add(task)
    try:
        with tracing.continued(trace), tracing.span(name):
            await workflow(_work)
    finally:
        _tasks.discard(task)


@DBOS.workflow(name=_READ)
async def _read_study(job_id: str, trace: str | None = None) -> None:
    await _run("study.read", trace, lambda work: work.read(job_id))


@DBOS.workflow(name=_DELIVER)
async def _deliver_study(job_id: str, trace: str | None = None) -> None:
    await _run("study.deliver", trace, lambda work: work.deliver(job_id))


class Studies:
    """Everything that takes, keeps and works on studies."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle, share: Share, audit: AuditLog | None = None) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        self._share = share
        self._audit = audit
        self._lock = NodeLock(settings.state_dir, settings.node)
        self._lock.acquire()
        self.spool = Spool(settings.state_dir / "spool", settings.limits.min_free_mb)
        configured = settings.database_url
        url = database_url(None if configured is None else configured.get_secret_value(), settings.state_dir)
        self.database = Database(url)
        self.jobs = Jobs(self.database)
        self.search = Search(self.database)
        self.results = Results(self.database, self.spool)
        self.custody = Custody(self.spool, self.database, self._enqueue_reading)
        self._outbox = Outbox.of(settings)
        self._retention = Retention(settings.study, self.database, self.spool)
        self._client: DBOSClient | None = None
        self._nodes: Nodes | None = None
        self._background: list[asyncio.Task[None]] = []
        self.scp: StorageScp | None = None
        self.accepting = False

    async def start(self) -> None:
        """Go on with what an earlier process left, and begin to accept. Raises CxrError."""
        global _work
        study = self._settings.study
        webhook = Webhook.of(self._settings.webhook)
        delivers = bool(self._outbox.names)
        reader = Reader(study, self._lifecycle, self._share, self.jobs, self.results, self.spool, delivers)
        sender = Sender(study, self.jobs, self.results, self._outbox, webhook, self._audit)
        _work = StudyWork(study, self.jobs, self.custody, reader, sender, self._enqueue_delivery)
        logging.getLogger("dbos").setLevel(logging.ERROR)
        try:
            DBOS(
                config={
                    "name": _NAME,
                    "system_database_url": self.database.url,
                    "application_version": _VERSION,
                    "executor_id": self._settings.node,
                    "log_level": "ERROR",
                    "enable_otlp": False,
                    "max_executor_threads": _THREADS,
                }
            )
            DBOS.launch()
            await DBOS.register_queue_async(
                _READ_QUEUE, worker_concurrency=study.concurrency, polling_interval_sec=_POLL_SECONDS
            )
            # Without a limit: what waits for a destination that is down keeps nothing else waiting.
            await DBOS.register_queue_async(_DELIVERY_QUEUE, polling_interval_sec=_POLL_SECONDS)
            self._client = await asyncio.to_thread(self._new_client)
        except sa.exc.DBAPIError as error:
            raise CxrError("The database cannot be used.", code="database_refused") from error
        await asyncio.to_thread(self.custody.start)
        self._nodes = Nodes(self._settings.node, self.database, self._client, _queue_of)
        self._background = [asyncio.create_task(self._retention.run()), asyncio.create_task(self._nodes.run())]
        if self._settings.dimse.port is not None:
            self.scp = StorageScp(self._settings.dimse, self._settings.host, self.custody, self._audit)
            try:
                await asyncio.to_thread(self.scp.start)
            except (OSError, ValueError) as error:
                raise CxrError("The DIMSE port or its TLS files cannot be used.", code="dimse_refused") from error
        self.accepting = True

    def _enqueue_reading(self, connection: sa.Connection, job_id: str, trace: str | None) -> None:
        self._enqueue(connection, _READ, job_id, job_id, trace)

    def _enqueue(
        self, connection: sa.Connection, name: str, job_id: str, workflow_id: str, trace: str | None = None
    ) -> None:
        assert self._client is not None
        self._client.enqueue_in_transaction(
            connection,
            {"workflow_name": name, "queue_name": _queue_of(name), "workflow_id": workflow_id, "app_version": _VERSION},
            job_id,
            trace,
        )

    async def _enqueue_delivery(self, job_id: str) -> None:
        """From inside a workflow, whose checkpoint it becomes."""
        runs = (await asyncio.to_thread(self.jobs.get, job_id)).runs
        with SetWorkflowID(f"{job_id}-{runs}-deliver"):
            await DBOS.enqueue_workflow_async(_DELIVERY_QUEUE, _deliver_study, job_id, tracing.traceparent())

    def again(self, job_id: str) -> None:
        """Run a failed or cancelled job again. Raises NotFound, Conflict."""
        written = bool(self.jobs.get(job_id).documents)

        def enqueue(connection: sa.Connection, job: str, workflow_id: str) -> None:
            if written:
                self._enqueue(connection, _DELIVER, job, f"{workflow_id}-deliver", tracing.traceparent())
            else:
                self._enqueue(connection, _READ, job, workflow_id, tracing.traceparent())

        self.jobs.again(job_id, enqueue)

    def _new_client(self, *, patient: bool = True) -> DBOSClient:
        """A patient one waits, without a limit, for a database that is gone."""
        return DBOSClient(
            system_database_url=self.database.url,
            application_name=_NAME,
            lazy=not patient,
            retry_connection_errors=patient,
        )

    def _hand_over(self, nodes: Nodes) -> int:
        client = self._new_client(patient=False)  # the process is to end
        try:
            return nodes.hand_over(client)
        finally:
            client.destroy()

    async def close(self) -> None:
        """Stop accepting; what is under way stays as it is recorded and goes on after the next start."""
        global _work
        self.accepting = False
        _work = None
        if self.scp is not None:
            await asyncio.to_thread(self.scp.stop)
        for task in [*self._background, *_tasks]:
            task.cancel()
        await asyncio.gather(*self._background, *_tasks, return_exceptions=True)
        await asyncio.to_thread(self.custody.close)
        # DBOS makes its own pool the loop's default one, and takes it along. Every workflow that begins does it again,
        # while DBOS ends too.
        loop, pool = asyncio.get_running_loop(), ThreadPoolExecutor(thread_name_prefix="asyncio")
        loop.set_default_executor(pool)
        await loop.run_in_executor(pool, DBOS.destroy)
        loop.set_default_executor(pool)
        if self._nodes is not None:
            try:
                left = await asyncio.to_thread(self._hand_over, self._nodes)
                log.info("handed over", workflows=left)
            except sa.exc.SQLAlchemyError as error:
                log.error("nothing handed over; the next start goes on with it", exc_info=error)
        if self._client is not None:
            await asyncio.to_thread(self._client.destroy)
        self.database.close()
        self._lock.release()
