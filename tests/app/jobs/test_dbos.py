"""What the database holds is data: nothing of it is run, and a row that cannot be read keeps no study waiting."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from dbos import DBOS, _dbos

from app.settings import Settings
from app.store.backup import back_up, restore
from app.store.database import create_engine, database_url
from app.store.spool import Spool
from app.store.tables import jobs
from tests.support.first_release import Code, make_older, pickled, tables
from tests.support.service import Service, running
from tests.support.studies import finished, instance, parsed, quick, stow

PLANTED = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs", "workflow_events")
PLANTED += ("workflow_events_history", "notifications", "streams", "workflow_schedules")


async def _interrupted(settings: Settings) -> str:
    """A state folder of a service that was stopped while a study waited for its end; returns the study's UID."""
    data = instance()
    async with running(quick(settings, quiet_seconds=600.0), durable=True) as service:
        await stow(service.client, data)
        while (await service.client.get("/v1/jobs")).json()["data"][0]["state"] != "waiting":
            await asyncio.sleep(0.05)
    return str(parsed(data).StudyInstanceUID)


def _plant(connection: sa.Connection, payload: str, form: str | None) -> None:
    """Put a payload into every value that DBOS keeps, under the name of a form."""
    there = tables(connection, PLANTED)
    workflow = connection.execute(sa.select(there["workflow_status"].c.workflow_uuid)).scalar_one()
    values = {"inputs": payload, "output": payload, "error": payload, "serialization": form}
    connection.execute(sa.update(there["workflow_status"]).values(values))
    connection.execute(sa.update(there["workflow_input"]).values(inputs=payload))
    step = {"function_id": 1, "function_name": "wait", "retention_timestamp": 1, "key": "k", "offset": 0}
    said = {"message": payload, "message_uuid": "m", "value": payload, "output": payload, "error": payload}
    schedule = {"schedule_id": "s", "schedule_name": "s", "workflow_name": "cxr_read_study", "schedule": "* * * * *"}
    row = {**step, **said, **schedule, "context": payload, "serialization": form, "created_at_epoch_ms": 1}
    row |= {"workflow_uuid": workflow, "destination_uuid": workflow}
    for name in PLANTED[2:]:
        given = {column: value for column, value in row.items() if column in there[name].c}
        connection.execute(sa.insert(there[name]).values(given))
    # As of a while ago, so that the reconciler looks at it at once.
    connection.execute(sa.update(jobs).values(updated=jobs.c.updated - 3600.0))


# DBOS's thread for schedules ends at what it cannot read; the service has no schedules.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("form", ["py_pickle", "portable_json", "custom_serializer", "x", None])
async def test_no_row_that_holds_code_is_run_and_its_study_is_read_all_the_same(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str | None
) -> None:
    mark = tmp_path / "ran"
    study = await _interrupted(settings)
    engine = create_engine(database_url(None, settings.state_dir))
    with engine.begin() as connection:
        _plant(connection, pickled({"args": (Code(mark),), "kwargs": {}}), form)
    engine.dispose()
    monkeypatch.setattr("app.jobs.reconciler._EVERY_SECONDS", 0.5)
    async with running(quick(settings), durable=True) as service:
        job = await finished(service.client, study, seconds=30.0)
        assert job["state"] == "done"
        other = instance()
        await stow(service.client, other)
        assert (await finished(service.client, str(parsed(other).StudyInstanceUID)))["state"] == "done"
    assert not mark.exists()


@pytest.mark.parametrize("restored", [False, True], ids=["as it lay", "from a backup"])
async def test_a_study_that_the_first_release_left_half_way_is_gone_on_with(
    settings: Settings, tmp_path: Path, restored: bool
) -> None:
    study = await _interrupted(settings)
    engine = create_engine(database_url(None, settings.state_dir))
    with engine.begin() as connection:
        assert make_older(connection) >= 2
    if restored:
        spool = Spool(settings.state_dir / "spool", 0)
        back_up(engine, spool, (), settings.state_dir, tmp_path / "backup", "0.1.0")
        engine.dispose()
        settings = settings.model_copy(update={"state_dir": tmp_path / "restored"})
        restore(tmp_path / "backup", settings.state_dir, database_url(None, settings.state_dir))
        engine = create_engine(database_url(None, settings.state_dir))
    async with running(quick(settings), durable=True) as service:
        assert (await finished(service.client, study))["state"] == "done"
    with engine.connect() as connection:
        assert connection.execute(sa.select(jobs.c.runs)).scalar_one() == 1
    engine.dispose()


async def test_what_the_service_writes_is_json(settings: Settings) -> None:
    data = instance()
    async with running(quick(settings), durable=True) as service:
        await stow(service.client, data)
        await finished(service.client, str(parsed(data).StudyInstanceUID))
        engine = create_engine(database_url(None, settings.state_dir))
        with engine.connect() as connection:
            for name, table in tables(connection).items():
                for row in connection.execute(sa.select(table)).mappings():
                    assert row.get("serialization") in ("portable_json", None), name
                    for column in ("inputs", "output", "error"):
                        if row.get(column) is not None:
                            json.loads(row[column])
        engine.dispose()


async def test_the_engines_of_dbos_keep_parameters_out_of_their_errors(settings: Settings) -> None:
    async with running(quick(settings), durable=True) as service:
        assert _dbos._get_dbos_instance()._sys_db.engine.hide_parameters
        studies: Any = service.app.state.service.studies
        assert studies._engine._client._sys_db.engine.hide_parameters


@pytest.mark.parametrize("part", ["scp.stop", "_engine.interrupt", "_ingestor.close"])
async def test_a_part_that_cannot_be_stopped_keeps_no_other_from_being_stopped(
    settings: Settings, tmp_path: Path, part: str
) -> None:
    def fails(*_: Any) -> None:
        raise OSError(part)

    dimse = settings.dimse.model_copy(update={"port": 0})
    first = Service(settings.model_copy(update={"dimse": dimse}), durable=True)
    lifespan = first.app.router.lifespan_context(first.app)
    await lifespan.__aenter__()
    await first.app.state.service.lifecycle.settled.wait()
    studies = first.app.state.service.studies
    owner, name = part.split(".")
    whole = getattr(getattr(studies, owner), name)
    setattr(getattr(studies, owner), name, fails)
    with pytest.raises(OSError, match=part):
        await lifespan.__aexit__(None, None, None)
    assert _dbos._dbos_global_instance is None
    result = whole()
    if asyncio.iscoroutine(result):
        await result
    await studies.close()


async def test_a_start_works_on_its_own_database_though_an_earlier_one_was_left_half_way(
    settings: Settings, tmp_path: Path
) -> None:
    DBOS(config={"name": "left", "system_database_url": f"sqlite:///{tmp_path}/left.sqlite", "log_level": "ERROR"})
    DBOS.launch()
    data = instance()
    async with running(quick(settings), durable=True) as service:
        assert (await stow(service.client, data)).status_code == 200
        job = await finished(service.client, str(parsed(data).StudyInstanceUID))
        assert job["state"] == "done"
