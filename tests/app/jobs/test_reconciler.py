"""A job that is not over and has no workflow is taken up again; one that has is left alone."""

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import DBOS

from app.jobs.reconciler import Reconciler
from app.settings import Settings
from app.store.database import Database, database_url
from app.store.job_states import FINAL, WORKED_ON, Begin, JobState
from app.store.jobs import Jobs
from app.store.records import Run, StoredReport
from app.store.tables import jobs, nodes
from tests.support.rows import job_row
from tests.support.service import running
from tests.support.studies import finished, instance, parsed, quick, stow

REPORT = StoredReport("k", "Normal.", None, None, "stop", 1, "m", "0", "2026-01-01T00:00:00+00:00")


class _Client:
    """Stands for DBOS's client: the workflows that live."""

    def __init__(self, *live: tuple[str, str, str]) -> None:
        self._live = [SimpleNamespace(workflow_id=name, status=status, executor_id=node) for name, status, node in live]

    def list_workflows(self, *, workflow_ids: list[str], **_: object) -> list[SimpleNamespace]:
        return [one for one in self._live if one.workflow_id in workflow_ids]


async def reconciled(folder: Path, row: dict[str, Any], *live: tuple[str, str, str]) -> tuple[int, list[Any], str]:
    database = Database(database_url(None, folder))
    with database.transaction() as connection:
        connection.execute(sa.insert(jobs), [row])
        connection.execute(sa.insert(nodes), [{"name": "other", "seen": time.time()}])
    enqueued: list[Any] = []
    reconciler = Reconciler(
        "here",
        database,
        Jobs(database),
        _Client(*live),
        lambda _, run, begin: enqueued.append((run, begin)),
        lambda _: 0,
    )
    count = await reconciler.reconcile()
    state = (await Jobs(database).get("a")).state
    database.close()
    return count, enqueued, state


@pytest.mark.parametrize("state", sorted(WORKED_ON))
async def test_an_open_job_without_a_workflow_begins_another_run(tmp_path: Path, state: JobState) -> None:
    documents = ["1.2.3"] if state is JobState.DELIVERING else []
    count, enqueued, after = await reconciled(tmp_path, job_row("a", state, documents=documents))
    assert count == 1
    assert enqueued == [(Run("a", 2), Begin.DELIVER if documents else Begin.READ)]
    assert after == (JobState.DELIVERING if documents else JobState.WAITING)


@pytest.mark.parametrize(
    "workflow",
    [("a", "ENQUEUED", ""), ("a", "PENDING", "here"), ("a", "PENDING", "other"), ("a-1-deliver", "ENQUEUED", "")],
)
async def test_a_job_with_a_workflow_that_lives_is_left_alone(tmp_path: Path, workflow: tuple[str, str, str]) -> None:
    assert await reconciled(tmp_path, job_row("a", "running"), workflow) == (0, [], "running")


async def test_a_pending_workflow_of_a_node_that_is_gone_does_not_count(tmp_path: Path) -> None:
    count, _, _ = await reconciled(tmp_path, job_row("a", "running"), ("a", "PENDING", "gone"))
    assert count == 1


async def test_a_released_report_whose_workflow_is_gone_is_written_as_it_stands(tmp_path: Path) -> None:
    row = job_row("a", JobState.RUNNING) | {"report": {**asdict(REPORT), "review": "released"}}
    assert await reconciled(tmp_path, row) == (1, [(Run("a", 2), Begin.WRITE)], JobState.RUNNING)


@pytest.mark.parametrize("state", sorted({*FINAL, JobState.REVIEW}))
async def test_a_job_that_is_over_or_waits_for_a_person_is_left_alone(tmp_path: Path, state: JobState) -> None:
    assert await reconciled(tmp_path, job_row("a", state)) == (0, [], state)


async def test_a_job_that_has_just_changed_is_left_alone(tmp_path: Path) -> None:
    assert (await reconciled(tmp_path, job_row("a", "running", created=time.time())))[0] == 0


async def test_a_study_whose_workflow_ended_with_an_error_is_read_after_the_next_start(settings: Settings) -> None:
    data = instance()
    study = str(parsed(data).StudyInstanceUID)
    async with running(quick(settings, quiet_seconds=30.0), durable=True) as service:
        await stow(service.client, data)
        job = (await service.client.get("/v1/jobs", params={"study": study})).json()["data"][0]
        await asyncio.sleep(1.0)
        await asyncio.to_thread(DBOS.cancel_workflow, job["id"])
        database = service.app.state.service.studies.database
        with database.transaction() as connection:
            connection.execute(sa.update(jobs).values(updated=0.0))
    async with running(quick(settings), durable=True) as service:
        with service.app.state.service.studies.database.transaction() as connection:
            connection.execute(sa.update(jobs).values(updated=0.0))
        assert (await finished(service.client, study))["state"] == "done"
