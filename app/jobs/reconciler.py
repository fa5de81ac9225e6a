"""Looks for jobs that are not over although no workflow works on them, and takes them up again.

A workflow that DBOS ended with an error, or whose node was removed while another took it over, would leave its job open
for ever: acknowledged, and never read.
"""

import asyncio
from collections.abc import Callable, Sequence

import sqlalchemy as sa
import structlog
from dbos import DBOSClient

from app.errors import Conflict
from app.store.database import Database
from app.store.jobs import Enqueue, Jobs
from app.store.records import Run
from app.store.tables import nodes
from app.telemetry.metrics import JOBS_ORPHANED

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 60.0
# A job whose state has just changed may be between two workflows.
_GRACE_SECONDS = 30.0
_AT_ONCE = 500
_PENDING = "PENDING"
_LIVE = ("ENQUEUED", "DELAYED", _PENDING)


class Reconciler:
    """Compares open jobs with DBOS's workflows, at the start and every minute."""

    def __init__(
        self,
        node: str,
        database: Database,
        jobs: Jobs,
        client: DBOSClient,
        enqueue: Enqueue,
        end_unreadable: Callable[[sa.Connection], int],
        grace_seconds: float = _GRACE_SECONDS,
    ) -> None:
        self._node = node
        self._database = database
        self._jobs = jobs
        self._client = client
        self._enqueue = enqueue
        self._end_unreadable = end_unreadable
        self._grace_seconds = grace_seconds

    async def run(self) -> None:
        """Reconcile for ever."""
        while True:
            try:
                await self.reconcile()
            except Exception as error:  # the next look may succeed
                log.error("jobs not reconciled", exc_info=error)
            await asyncio.sleep(_EVERY_SECONDS)

    async def reconcile(self) -> int:
        """Take up what has no workflow that lives; returns how many jobs."""
        count = 0
        if ended := await self._database.write(self._end_unreadable):
            log.warning("workflows that cannot be read were ended", count=ended)
        runs = await self._jobs.open_runs(self._grace_seconds)
        for start in range(0, len(runs), _AT_ONCE):
            for run in await self._orphans(runs[start : start + _AT_ONCE]):
                try:
                    await self._jobs.take_up(run, self._enqueue)
                except Conflict:  # its state has changed: something works on it
                    continue
                count += 1
                JOBS_ORPHANED.inc()
                log.warning("a job without a workflow is taken up again", job=run.job_id)
        return count

    async def _orphans(self, runs: Sequence[Run]) -> list[Run]:
        names = [name for run in runs for name in (run.read_workflow, run.delivery_workflow)]
        found = await asyncio.to_thread(
            self._client.list_workflows, workflow_ids=names, status=list(_LIVE), load_input=False, load_output=False
        )
        known = await self._database.read(lambda connection: set(connection.execute(sa.select(nodes.c.name)).scalars()))
        # A pending workflow of a node that is gone does not run.
        live = {one.workflow_id for one in found if one.status != _PENDING or one.executor_id in {*known, self._node}}
        return [run for run in runs if not {run.read_workflow, run.delivery_workflow} & live]
