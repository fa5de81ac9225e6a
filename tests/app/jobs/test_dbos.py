"""What the database holds is data: nothing of it is run, and a row that cannot be read keeps no study waiting."""

import base64
import pickle
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.settings import Settings
from app.store.database import database_url
from app.third_parties import set_up_dbos
from tests.support.service import running
from tests.support.studies import finished, instance, parsed, quick, stow


class _Code:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.mark)!r}, 'w').close()",)


def _add_row(url: str, mark: Path, **changes: Any) -> None:
    """A workflow in the service's queue, as whoever may write to the database adds it."""
    engine = sa.create_engine(url)
    table = sa.Table("workflow_status", sa.MetaData(), autoload_with=engine)
    payload = base64.b64encode(pickle.dumps({"args": (_Code(mark),), "kwargs": {}})).decode()
    with engine.begin() as connection:
        row = dict(connection.execute(sa.select(table).limit(1)).mappings().one())
        row |= {"workflow_uuid": f"guest-{time.time_ns()}", "status": "ENQUEUED", "inputs": payload, "output": None}
        row |= {"executor_id": None, "started_at_epoch_ms": None, "completed_at": None, "recovery_attempts": 0}
        connection.execute(sa.insert(table).values(**(row | changes)))
    engine.dispose()


@pytest.mark.parametrize("serialization", ["py_pickle", "portable_json", "custom_serializer", None])
async def test_a_row_that_holds_code_is_not_run_and_other_studies_go_on(
    settings: Settings, tmp_path: Path, serialization: str | None
) -> None:
    mark = tmp_path / "ran"
    async with running(quick(settings), durable=True) as service:
        for number in range(2):
            data = instance()
            await stow(service.client, data)
            job = await finished(service.client, str(parsed(data).StudyInstanceUID))
            assert job["state"] == "done"
            if number == 0:
                url = database_url(None, settings.state_dir)
                _add_row(url, mark, **({"serialization": serialization} if serialization else {}))
        assert not mark.exists()


async def test_what_the_service_writes_is_json(settings: Settings) -> None:
    data = instance()
    async with running(quick(settings), durable=True) as service:
        await stow(service.client, data)
        await finished(service.client, str(parsed(data).StudyInstanceUID))
        engine = sa.create_engine(database_url(None, settings.state_dir))
        with engine.connect() as connection:
            for table in ("workflow_status", "operation_outputs"):
                found = connection.exec_driver_sql(f"SELECT DISTINCT serialization FROM {table}").scalars().all()
                assert set(found) <= {"portable_json", None}, table
        engine.dispose()


def test_a_pickle_of_data_as_the_first_release_wrote_it_is_still_read() -> None:
    from dbos._serialization import DBOSDefaultSerializer

    set_up_dbos()
    inputs = {"args": ("a1b2", None), "kwargs": {}}
    assert DBOSDefaultSerializer.deserialize(DBOSDefaultSerializer.serialize(inputs)) == inputs
    with pytest.raises(pickle.UnpicklingError):
        DBOSDefaultSerializer.deserialize(base64.b64encode(pickle.dumps(_Code(Path("x")))).decode())
