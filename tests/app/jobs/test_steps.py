"""Steps of a study wait for what somebody mends, and for nothing else."""

import errno
import sqlite3

import pytest
import sqlalchemy as sa

from app.jobs import documents, steps
from app.jobs.steps import JobFailed, retry_transient
from app.settings import Settings
from app.store.database import create_engine, database_url
from tests.support.service import running
from tests.support.studies import finished, instance, parsed, quick, stow


class _Failing:
    """Work that fails with the errors that are left."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def __call__(self, job_id: str) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return job_id


async def test_a_step_waits_until_the_disk_has_room_and_the_database_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_RETRY_SECONDS", 0.01)
    work = _Failing(
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        sa.exc.OperationalError("UPDATE", {}, Exception("database or disk is full")),
    )
    assert await retry_transient(work, "job") == "job"
    assert work.errors == []


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "gone"),
        JobFailed("no", "No."),
        KeyError("defect"),
        sa.exc.OperationalError("SELECT", {}, sqlite3.OperationalError("no such column: cxr_jobs.runs")),
    ],
)
async def test_another_error_ends_the_step_at_once(error: Exception) -> None:
    with pytest.raises(type(error)):
        await retry_transient(_Failing(error, error), "job")


async def test_a_step_that_meets_an_unexpected_error_fails_its_job_and_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(documents, "build", fail)
    data = instance()
    async with running(quick(settings), durable=True) as service:
        await stow(service.client, data)
        job = await finished(service.client, str(parsed(data).StudyInstanceUID))
    assert (job["state"], job["reason"]["code"]) == ("failed", "internal_error")
    assert "ZeroDivision" not in job["reason"]["detail"]


async def test_a_step_whose_end_the_database_refuses_fails_its_job_at_once(settings: Settings) -> None:
    data = instance()
    async with running(quick(settings), durable=True) as service:
        engine = create_engine(database_url(None, settings.state_dir))
        with engine.begin() as connection:
            refused = "WHEN NEW.steps LIKE '%encode%' BEGIN SELECT RAISE(ABORT, 'refused'); END"
            connection.exec_driver_sql(f"CREATE TRIGGER refuse BEFORE UPDATE OF steps ON cxr_jobs {refused}")
        await stow(service.client, data)
        study = str(parsed(data).StudyInstanceUID)
        job = await finished(service.client, study)
        assert (job["state"], job["reason"]["code"]) == ("failed", "internal_error")
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER refuse")
        engine.dispose()
        assert (await service.client.post(f"/v1/jobs/{job['id']}/retry")).status_code == 202
        assert (await finished(service.client, study))["state"] == "done"
