"""What is counted of the jobs, and that it is counted from indices."""

import time

import pytest
import sqlalchemy as sa

from app.store.database import Database
from app.store.jobs import Jobs
from app.store.records import JobCounts
from app.store.tables import instances, jobs
from tests.support.rows import instance_row, job_row


async def test_jobs_are_counted_by_state_and_the_oldest_is_of_those_that_are_open(database: Database) -> None:
    assert await Jobs(database).count() == JobCounts({}, None)
    with database.transaction() as connection:
        states = {"done": 1.0, "running": 3.0, "waiting": 2.0, "failed": 0.5}
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
