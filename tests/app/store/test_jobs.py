"""What is counted of the jobs, and that it is counted from indices."""

import time

import pytest
import sqlalchemy as sa

from app.store.database import Database
from app.store.jobs import Jobs
from app.store.records import JobCounts, Run
from app.store.tables import instances, jobs, studies
from tests.support.rows import instance_row, job_row, study_row


async def test_jobs_are_counted_by_state_and_the_oldest_is_of_those_that_are_open(database: Database) -> None:
    assert await Jobs(database).count() == JobCounts({}, None)
    with database.transaction() as connection:
        # Who is in review waits for a person, not for the service.
        states = {"done": 1.0, "running": 3.0, "waiting": 2.0, "failed": 0.5, "review": 0.7}
        rows = [job_row(state, state, created) for state, created in states.items()]
        connection.execute(sa.insert(jobs), rows)
    counts = await Jobs(database).count()
    assert counts.by_state == dict.fromkeys(states, 1)
    assert counts.oldest_seconds == pytest.approx(time.time() - 2.0, abs=60.0)


async def test_held_bytes_are_those_of_files_that_are_still_there(database: Database) -> None:
    assert await Jobs(database).held_bytes() == 0
    with database.transaction() as connection:
        connection.execute(
            sa.insert(instances), [instance_row("1", 5, "f"), instance_row("2", 7, "g"), instance_row("3", 11, None)]
        )
    assert await Jobs(database).held_bytes() == 12


async def test_a_study_waits_no_longer_than_it_has_to_be_quiet_although_the_clock_was_set_back(
    database: Database,
) -> None:
    with database.transaction() as connection:
        connection.execute(sa.insert(studies), [study_row("a", job="a")])
        connection.execute(sa.insert(jobs), [job_row("a", "waiting", time.time() + 7_200.0)])
    left = await Jobs(database).close_revision(Run("a", 1), 0.2)
    assert 0.0 < left <= 0.2
    time.sleep(0.3)
    assert await Jobs(database).close_revision(Run("a", 1), 0.2) == 0.0


@pytest.mark.parametrize("changed", [-7_200.0, 7_200.0])
async def test_an_open_job_that_was_changed_long_ago_or_in_the_future_is_looked_at(
    database: Database, changed: float
) -> None:
    with database.transaction() as connection:
        connection.execute(
            sa.insert(jobs), [job_row("a", "running", time.time() + changed), job_row("b", "running", time.time())]
        )
    assert await Jobs(database).open_runs(60.0) == [Run("a", 1)]
