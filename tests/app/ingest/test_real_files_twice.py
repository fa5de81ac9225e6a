"""Every real file by STOW-RS and by C-STORE, in both orders: whoever sends it first, the second is told success."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE

from app.imaging.syntaxes import DECODED
from app.settings import DimseSettings, Settings
from tests.support.connections import FAILED_CONNECTIONS
from tests.support.service import SHARED, Service, running
from tests.support.studies import failures, other_failures, quick, stow

pytestmark = [
    *FAILED_CONNECTIONS,
    pytest.mark.skipif(not SHARED.is_dir(), reason="shared/data is absent"),
    # pynetdicom writes what the files hold, which is not always what the standard has.
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
_FILES = [path for path in sorted((SHARED / "dicom").rglob("*")) if path.is_file() and path.suffix != ".csv"]
_STORED, _REFUSED, _REJECTED = "stored", "refused", "rejected"
_UNSENDABLE = "pynetdicom does not send it"
_NOT_SENT = {_REJECTED, _UNSENDABLE}


@pytest.fixture
async def pacs(settings: Settings) -> AsyncIterator[Service]:
    """A service that takes studies both ways, and never finds them complete."""
    dimse = DimseSettings(port=0, charsets={})
    async with running(quick(settings.model_copy(update={"dimse": dimse}), quiet_seconds=600.0), durable=True) as one:
        yield one


async def by_stow(pacs: Service, path: Path) -> str:
    """What STOW-RS says of a file."""
    response = await stow(pacs.client, path.read_bytes())
    assert response.status_code in (200, 202, 409)
    return _REFUSED if failures(response) or other_failures(response) else _STORED


async def by_c_store(pacs: Service, path: Path) -> str:
    """What C-STORE says of a file, in its own transfer syntax."""
    port = pacs.app.state.service.studies.scp.port
    return await asyncio.to_thread(_send, path, port)


def _send(path: Path, port: int) -> str:
    dataset = pydicom.dcmread(io.BytesIO(path.read_bytes()), force=True)
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None or "SOPClassUID" not in dataset:
        return _UNSENDABLE
    entity = AE(ae_title="SENDER")
    entity.add_requested_context(dataset.SOPClassUID, syntax)
    association = entity.associate("127.0.0.1", port, ae_title="LLMCXR")
    try:
        if not association.is_established or not association.accepted_contexts:
            return _REJECTED
        try:
            status = association.send_c_store(dataset)
        except (AttributeError, ValueError) as error:
            print(path.name, "is not sent:", error)
            return _UNSENDABLE
        return _STORED if status.Status == 0x0000 or status.Status >> 12 == 0xB else _REFUSED
    finally:
        association.release()


@pytest.mark.parametrize("first", ["STOW-RS", "C-STORE"])
async def test_what_was_stored_one_way_is_a_success_the_other_way(pacs: Service, first: str) -> None:
    ways = (by_stow, by_c_store) if first == "STOW-RS" else (by_c_store, by_stow)
    found: dict[str, tuple[str, str]] = {}
    for path in _FILES:
        found[path.name] = (await ways[0](pacs, path), await ways[1](pacs, path))
    assert len(found) > 100
    strange = {name: outcome for name, outcome in found.items() if not _NOT_SENT & {*outcome} and len({*outcome}) > 1}
    assert not strange, strange
    assert sum(outcome == (_STORED, _STORED) for outcome in found.values()) > 90
    for path in _FILES:
        if _REJECTED in found.get(path.name, ()):
            syntax = pydicom.dcmread(path, force=True, stop_before_pixels=True).file_meta.TransferSyntaxUID
            assert syntax not in DECODED, path.name
