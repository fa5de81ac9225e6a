"""Who may move a job where: two tables, and what a workflow's move does once its run is over."""

import itertools
from dataclasses import asdict, replace

import pytest
import sqlalchemy as sa

from app.errors import Conflict, NotFound
from app.store.database import Database
from app.store.job_states import FINAL, OPEN, Begin, JobState
from app.store.jobs import Jobs
from app.store.records import Reason, Run, StoredReport
from app.store.tables import jobs, studies
from app.store.transitions import OPERATOR, WORKFLOW
from tests.support.rows import job_row, study_row

RUN = Run("a", 1)


def enter(database: Database, state: JobState, runs: int = 1, documents: tuple[str, ...] = ()) -> None:
    with database.transaction() as connection:
        connection.execute(sa.delete(jobs))
        connection.execute(sa.delete(studies))
        connection.execute(sa.insert(studies), [study_row("a", job="a")])
        row = job_row("a", state, runs=runs, documents=list(documents))
        connection.execute(sa.insert(jobs), [row])


def test_both_tables_cover_every_state() -> None:
    assert set(OPERATOR) == set(WORKFLOW) == set(JobState)


@pytest.mark.parametrize(("before", "after"), [*itertools.product(JobState, JobState)])
async def test_a_workflow_moves_a_job_only_where_its_table_allows(
    database: Database, before: JobState, after: JobState
) -> None:
    enter(database, before)
    if after in WORKFLOW[before]:
        await Jobs(database).move(RUN, after)
        assert (await Jobs(database).get("a")).state is after
    else:
        with pytest.raises(Conflict):
            await Jobs(database).move(RUN, after)
        assert (await Jobs(database).get("a")).state is before


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_what_a_workflow_writes_for_a_run_that_is_over_is_refused(database: Database, state: JobState) -> None:
    found = Jobs(database)
    enter(database, state, runs=2)
    for write in (
        found.move(RUN, JobState.DONE),
        found.update(RUN, documents=["1.2"]),
        found.begin_attempt(RUN),
        found.fail(RUN, Reason("x", "X.")),
    ):
        with pytest.raises(Conflict):
            await write
    assert await found.over([RUN, Run("a", 2)]) == {RUN}


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_a_cancel_closes_the_revision_in_the_same_transaction(database: Database, state: JobState) -> None:
    found = Jobs(database)
    enter(database, state)
    await found.cancel("a")
    assert (await found.get("a")).state is JobState.CANCELLED
    with database.reading() as connection:
        assert connection.execute(sa.select(studies.c.job)).scalar_one() is None
    assert await found.over([RUN]) == {RUN}
    await found.cancel("a")  # a repeated request finds it done


@pytest.mark.parametrize("state", sorted(FINAL - {JobState.CANCELLED}))
async def test_a_job_that_is_over_cannot_be_cancelled(database: Database, state: JobState) -> None:
    enter(database, state)
    with pytest.raises(Conflict):
        await Jobs(database).cancel("a")
    with pytest.raises(NotFound):
        await Jobs(database).cancel("b")


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("documents", [(), ("1.2.3",)])
async def test_only_a_failed_or_cancelled_job_is_run_again_from_its_documents_where_it_has_some(
    database: Database, state: JobState, documents: tuple[str, ...]
) -> None:
    enqueued: list[tuple[Run, Begin]] = []
    enter(database, state, documents=documents)
    retry = Jobs(database).retry("a", lambda _, run, begin: enqueued.append((run, begin)))
    if state not in (JobState.FAILED, JobState.CANCELLED):
        with pytest.raises(Conflict):
            await retry
        assert enqueued == []
        return
    await retry
    job = await Jobs(database).get("a")
    assert (job.state, job.runs) == (JobState.DELIVERING if documents else JobState.WAITING, 2)
    assert enqueued == [(Run("a", 2), Begin.DELIVER if documents else Begin.READ)]


@pytest.mark.parametrize("state", list(JobState))
async def test_only_a_job_in_review_is_released_once_and_its_report_is_written_as_it_stands(
    database: Database, state: JobState
) -> None:
    enqueued: list[tuple[Run, Begin]] = []
    enter(database, state)
    report = StoredReport("k", "Normal.", None, None, "stop", 1, "m", "0", "2026-01-01", 0.7, True, "held")
    with database.transaction() as connection:
        connection.execute(sa.update(jobs).values(report=asdict(report)))

    async def release() -> None:
        await Jobs(database).release("a", lambda _, run, begin: enqueued.append((run, begin)))

    if state is JobState.REVIEW:
        await release()
        job = await Jobs(database).get("a")
        assert (job.state, job.runs) == (JobState.RUNNING, 2)
        assert job.report == replace(report, review="released")
    with pytest.raises(Conflict):
        await release()
    assert enqueued == ([(Run("a", 2), Begin.WRITE)] if state is JobState.REVIEW else [])


async def test_a_failed_job_whose_report_was_released_is_written_and_not_read_again(database: Database) -> None:
    enqueued: list[tuple[Run, Begin]] = []
    enter(database, JobState.FAILED)
    report = StoredReport("k", "Normal.", None, None, "stop", 1, "m", "0", "2026-01-01", 0.7, True, "released")
    with database.transaction() as connection:
        connection.execute(sa.update(jobs).values(report=asdict(report)))
    await Jobs(database).retry("a", lambda _, run, begin: enqueued.append((run, begin)))
    assert enqueued == [(Run("a", 2), Begin.WRITE)]


async def test_a_failed_job_leaves_its_study_open_for_the_next_instance(database: Database) -> None:
    enter(database, JobState.RUNNING)
    await Jobs(database).fail(RUN, Reason("damaged_image", "It is damaged."))
    with database.reading() as connection:
        assert connection.execute(sa.select(studies.c.job)).scalar_one() is None
    assert (await Jobs(database).get("a")).reason == Reason("damaged_image", "It is damaged.")


@pytest.mark.parametrize(
    ("workflow", "run"),
    [
        ("ab" * 16, Run("ab" * 16, 1)),
        ("ab" * 16 + "-2", Run("ab" * 16, 2)),
        ("ab" * 16 + "-1-deliver", Run("ab" * 16, 1)),
        ("ab" * 16 + "-12-deliver", Run("ab" * 16, 12)),
    ],
)
def test_a_workflows_id_says_its_run(workflow: str, run: Run) -> None:
    assert Run.from_workflow(workflow) == run
    assert workflow in (run.read_workflow, run.delivery_workflow)
