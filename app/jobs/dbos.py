"""DBOS, which runs the workflows durably: its workflows, queues and names, recovery and hand-over.

DBOS's registry is global to the process, and so is the `StudyWorkflow` that the registered workflows run.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSClient, SetWorkflowID

from app.errors import CxrError
from app.jobs.nodes import Nodes
from app.jobs.reconciler import Reconciler
from app.jobs.serialization import PLAIN_JSON, error_as_data
from app.jobs.workflow import StudyWorkflow
from app.settings import Settings
from app.store.database import Database
from app.store.job_states import Begin
from app.store.jobs import Jobs
from app.store.records import Run
from app.store.workflow_rows import end_unreadable
from app.telemetry import tracing
from app.third_parties import set_up_dbos

log = structlog.get_logger(__name__)

_NAME = "cxr"
# A constant: DBOS recovers only workflows of its own version, and an upgrade has to go on with the studies it finds.
# It changes when the order of the steps does, which ends what is under way; a retry begins it anew.
_VERSION = "1"
_READ, _WRITE, _DELIVER = "cxr_read_study", "cxr_write_study", "cxr_deliver_study"
_READ_QUEUE, _WRITE_QUEUE, _DELIVERY_QUEUE = "cxr_read", "cxr_write", "cxr_deliver"
_QUEUES = {_READ: _READ_QUEUE, _WRITE: _WRITE_QUEUE, _DELIVER: _DELIVERY_QUEUE}
_WORKFLOWS = {Begin.READ: _READ, Begin.WRITE: _WRITE, Begin.DELIVER: _DELIVER}
_POLL_SECONDS = 0.5
_THREADS = 64

_workflow: StudyWorkflow | None = None
_tasks: set["asyncio.Task[Any]"] = set()


def _queue_of(workflow: str) -> str:
    return _QUEUES.get(workflow, _READ_QUEUE)


async def _run(name: str, trace: str | None, work: Callable[[StudyWorkflow, Run], Awaitable[None]]) -> None:
    task = asyncio.current_task()
    if _workflow is None or task is None:
        raise asyncio.CancelledError  # the service is closing: it stays enqueued for the next start
    _tasks.add(task)
    try:
        with tracing.continued(trace), tracing.span(name):
            await work(_workflow, Run.from_workflow(str(DBOS.workflow_id)))
    finally:
        _tasks.discard(task)


# `job_id` is part of the enqueued arguments since the first release; the workflow's id says it too, with its run.
@DBOS.workflow(name=_READ)
async def _read_study(job_id: str, trace: str | None = None) -> None:
    await _run("study.read", trace, lambda workflow, run: workflow.read(run))


@DBOS.workflow(name=_WRITE)
async def _write_study(job_id: str, trace: str | None = None) -> None:
    await _run("study.write", trace, lambda workflow, run: workflow.write(run))


@DBOS.workflow(name=_DELIVER)
async def _deliver_study(job_id: str, trace: str | None = None) -> None:
    await _run("study.deliver", trace, lambda workflow, run: workflow.deliver(run))


class WorkflowEngine:
    """Starts, enqueues and stops workflows on the service's database."""

    def __init__(self, settings: Settings, database: Database) -> None:
        set_up_dbos(PLAIN_JSON, error_as_data)
        self._concurrency = settings.study.concurrency
        self._node = settings.node
        self._database = database
        self._client: DBOSClient | None = None
        self.nodes: Nodes | None = None

    async def start(self, workflow: StudyWorkflow) -> None:
        """Recover what an earlier process of this node left, and run what is enqueued. Raises CxrError."""
        global _workflow
        _workflow = workflow
        # One that an earlier start in this process left would go on with that start's database.
        await asyncio.to_thread(DBOS.destroy)
        try:
            DBOS(
                config={
                    "name": _NAME,
                    "system_database_url": self._database.url,
                    "application_version": _VERSION,
                    "executor_id": self._node,
                    "log_level": "ERROR",
                    "enable_otlp": False,
                    "max_executor_threads": _THREADS,
                    "serializer": PLAIN_JSON,
                    "db_engine_kwargs": {"hide_parameters": True},
                }
            )
            DBOS.launch()
            await DBOS.register_queue_async(
                _READ_QUEUE, worker_concurrency=self._concurrency, polling_interval_sec=_POLL_SECONDS
            )
            await DBOS.register_queue_async(_WRITE_QUEUE, polling_interval_sec=_POLL_SECONDS)
            # Without a limit: what waits for a destination that is down keeps nothing else waiting.
            await DBOS.register_queue_async(_DELIVERY_QUEUE, polling_interval_sec=_POLL_SECONDS)
            self._client = await asyncio.to_thread(self._new_client)
        except sa.exc.DBAPIError as error:
            raise CxrError("The database cannot be used.", code="database_refused") from error
        self.nodes = Nodes(self._node, self._database, self._client, _queue_of)

    def connect(self) -> None:
        """Be able to enqueue without running anything here, for a command beside the service. Raises CxrError."""
        schema = None if self._database.url.startswith("sqlite") else "dbos"
        if not sa.inspect(self._database.engine).has_table("workflow_status", schema=schema):
            raise CxrError("The database has never been started on: start the service once.", code="database_new")
        self._client = self._new_client(waits=False)

    @property
    def client(self) -> DBOSClient | None:
        """What knows the workflows; None before `start` or `connect`."""
        return self._client

    def reconciler(self, jobs: Jobs) -> Reconciler:
        """What takes up jobs without a workflow; after `start`."""
        assert self._client is not None
        return Reconciler(self._node, self._database, jobs, self._client, self.enqueue_again, end_unreadable)

    def enqueue_reading(self, connection: sa.Connection, job_id: str, trace: str | None) -> None:
        """Enqueue a new job's first run as part of a transaction."""
        self._enqueue(connection, _READ, Run(job_id, 1), trace)

    def enqueue_again(self, connection: sa.Connection, run: Run, begin: Begin) -> None:
        """Enqueue another run of a job as part of a transaction."""
        self._enqueue(connection, _WORKFLOWS[begin], run, tracing.traceparent())

    def _enqueue(self, connection: sa.Connection, name: str, run: Run, trace: str | None) -> None:
        assert self._client is not None
        workflow_id = run.delivery_workflow if name == _DELIVER else run.read_workflow
        self._client.enqueue_in_transaction(
            connection,
            {"workflow_name": name, "queue_name": _queue_of(name), "workflow_id": workflow_id, "app_version": _VERSION},
            run.job_id,
            trace,
        )

    async def enqueue_delivery(self, run: Run) -> None:
        """Enqueue a run's delivery from inside its reading workflow, whose checkpoint it becomes."""
        with SetWorkflowID(run.delivery_workflow):
            await DBOS.enqueue_workflow_async(_DELIVERY_QUEUE, _deliver_study, run.job_id, tracing.traceparent())

    def _new_client(self, *, waits: bool = True) -> DBOSClient:
        """A client that waits, without a limit, for a database that is gone, or one that raises."""
        return DBOSClient(
            # The service's own: one of DBOS's could not be told to keep parameters out of its errors.
            system_database_engine=self._database.engine,
            application_name=_NAME,
            serializer=PLAIN_JSON,
            lazy=not waits,
            retry_connection_errors=waits,
        )

    def _hand_over(self, nodes: Nodes) -> int:
        client = self._new_client(waits=False)  # the process is to end
        try:
            return nodes.hand_over(client)
        finally:
            client.destroy()

    @staticmethod
    async def interrupt() -> None:
        """End the workflows under way; they stay as they are recorded."""
        global _workflow
        _workflow = None
        for task in _tasks:
            task.cancel()
        await asyncio.gather(*_tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop DBOS, and enqueue what is unfinished for any replica to go on with."""
        # DBOS replaces the loop's default executor by its own and shuts that down. Every workflow that begins does it,
        # also while DBOS ends.
        loop, pool = asyncio.get_running_loop(), ThreadPoolExecutor(thread_name_prefix="asyncio")
        loop.set_default_executor(pool)
        await loop.run_in_executor(pool, DBOS.destroy)
        loop.set_default_executor(pool)
        if self.nodes is not None:
            try:
                left = await asyncio.to_thread(self._hand_over, self.nodes)
                log.info("handed over", workflows=left)
            except Exception as error:
                log.error("nothing handed over; the next start goes on with it", exc_info=error)
        if self._client is not None:
            await asyncio.to_thread(self._client.destroy)
