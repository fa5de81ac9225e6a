"""A database that is away is no refusal, and a value that it cannot hold is its own instance's fault."""

import asyncio
import contextlib
import random
import sqlite3
import string
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from app.dicom.status import FailureReason, Receipt
from app.imaging.headers import Headers
from app.ingest.ingestor import Ingestor
from app.settings import DimseSettings, ImagingSettings, Settings
from app.store.database import Database, database_url
from app.store.spool import Spool
from benchmarks.ports import free_port
from tests.support.postgres import postgresql
from tests.support.service import running
from tests.support.studies import instance, multipart, parsed, quick


@pytest.fixture
def locked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> contextlib.AbstractContextManager[None]:
    monkeypatch.setattr("app.store.database._BUSY_MS", 200)

    @contextlib.contextmanager
    def lock() -> Iterator[None]:
        connection = sqlite3.connect(settings.state_dir / "cxr.sqlite", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
        connection.close()

    return lock()


async def test_a_locked_database_is_503_over_http_and_a700_by_dimse_and_the_next_try_is_taken(
    settings: Settings, locked: contextlib.AbstractContextManager[None]
) -> None:
    port = free_port()
    settings = settings.model_copy(update={"dimse": DimseSettings(port=port)})
    data = instance()
    body, headers = multipart([data])

    def c_store() -> int:
        entity = AE(ae_title="SENDER")
        entity.add_requested_context(parsed(data).SOPClassUID, ExplicitVRLittleEndian)
        association = entity.associate("127.0.0.1", port, ae_title="LLMCXR")
        try:
            return int(association.send_c_store(parsed(data)).Status)
        finally:
            association.release()

    async with running(quick(settings), durable=True) as service:
        with locked:
            answer = await service.client.post("/dicom-web/studies", content=body, headers=headers)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA700]
            assert await asyncio.to_thread(c_store) == 0xA700
            assert (await service.client.get("/v1/jobs")).status_code == 200
        assert await asyncio.to_thread(c_store) == 0x0000


@pytest.mark.parametrize(
    ("url", "query", "status", "code"),
    [
        ("sqlite:////nowhere/x.sqlite", "SELECT 1", 503, "database_unavailable"),
        ("postgresql+psycopg://cxr@127.0.0.1:1/cxr", "SELECT 1", 503, "database_unavailable"),
        ("sqlite://", "SELECT gone FROM nothing", 500, "internal_error"),
    ],
)
async def test_a_request_whose_database_is_away_is_to_be_repeated_and_a_defect_is_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str, query: str, status: int, code: str
) -> None:
    async def read(_: object) -> None:
        with sa.create_engine(url).connect() as connection:
            connection.exec_driver_sql(query)

    async with running(quick(settings), durable=True) as service:
        monkeypatch.setattr(service.app.state.service.studies.database, "read", read)
        answer = await service.client.get("/v1/jobs")
        monkeypatch.undo()
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert ("Retry-After" in answer.headers) == (status == 503)


def _long(length: int) -> str:
    return "".join(random.Random(0).choices(string.ascii_letters, k=length))  # PostgreSQL compresses what repeats


VALUES = {
    "nul in a name": {"PatientName": "A\0B"},
    "nul in an identifier": {"AccessionNumber": "1\0002"},
    "nul in the middle of a description": {"StudyDescription": "A\0B"},
    "a long identifier": {"PatientID": _long(3_000)},
    "a long accession number": {"AccessionNumber": _long(4_000)},
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_the_database_cannot_hold_refuses_its_own_instance_alone(
    tmp_path: Path, server: str, name: str
) -> None:
    database = Database(database_url(server, tmp_path))
    spool = Spool(tmp_path / "spool", 0)
    headers = Headers(ImagingSettings())
    ingestor = Ingestor(spool, database, lambda *_: None, headers)
    receipts: list[Future[Receipt]] = []
    for number in range(10):
        path = spool.new_file()
        path.write_bytes(instance(**(VALUES[name] if number == 4 else {})))
        receipts.append(ingestor.accept(path, sender="A"))
    ingestor.start()  # what came before is one batch
    found = [receipt.result(30).failure for receipt in receipts]
    ingestor.close()
    database.close()
    assert found[:4] + found[5:] == [None] * 9
    # A description may be held: it is in no column of its own.
    assert found[4] in (FailureReason.CANNOT_UNDERSTAND, None)
    assert name.startswith("nul in the middle") or found[4] is not None
    assert len(spool.names()) == 10 - (found[4] is not None)
