"""One instance in every transfer syntax that pydicom can write: stored by STOW-RS and by C-STORE, and read back."""

import asyncio
import gc
import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.pixels import get_encoder
from pydicom.uid import (
    JPEG2000,
    UID,
    AllTransferSyntaxes,
    ComputedRadiographyImageStorage,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE

from app.settings import DimseSettings, Settings
from tests.support.service import Service, running
from tests.support.studies import finished, instance, parsed, quick, stow

# pynetdicom leaves the socket of a connection that failed to the collector, which closes it with a warning.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2")
_OPTIONS: dict[str, dict[str, Any]] = {JPEG2000: {"j2k_cr": [4]}, JPEGLSNearLossless: {"jls_error": 2}}


def _can_write(syntax: UID) -> bool:
    if syntax in _NATIVE:
        return True
    try:
        return bool(get_encoder(syntax).is_available)
    except NotImplementedError:
        return False


WRITTEN = [syntax for syntax in AllTransferSyntaxes if _can_write(syntax)]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
async def pacs(settings: Settings) -> AsyncIterator[Service]:
    changed = settings.model_copy(update={"dimse": DimseSettings(port=0)})
    async with running(quick(changed), durable=True) as started:
        yield started


def written(syntax: UID, data: bytes | None = None) -> bytes:
    """An instance in a transfer syntax, by default a new one."""
    dataset = parsed(data or instance(ImageType=["ORIGINAL", "PRIMARY"]))
    if syntax in _NATIVE:
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == "1.2.840.10008.1.2.2":
            dataset["PixelData"].VR = "OW"
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    else:
        dataset.compress(syntax, generate_instance_uid=False, **_OPTIONS.get(syntax, {}))
    buffer = io.BytesIO()
    # Big endian is written only where pydicom is told that the pixels have been swapped.
    implicit, little = syntax == "1.2.840.10008.1.2", syntax != "1.2.840.10008.1.2.2"
    dcmwrite(buffer, dataset, implicit_vr=implicit, little_endian=little, force_encoding=not little)
    return buffer.getvalue()


def test_the_list_is_not_empty_by_mistake() -> None:
    assert set(_NATIVE) | {RLELossless, JPEGLSLossless, JPEG2000Lossless} <= set(WRITTEN)


@pytest.mark.parametrize("syntax", WRITTEN, ids=lambda syntax: UID(syntax).keyword)
async def test_an_instance_is_stored_reported_on_and_read_back_in_its_transfer_syntax(
    pacs: Service, syntax: UID
) -> None:
    by_stow, by_store = written(syntax), written(syntax)
    response = await stow(pacs.client, by_stow)
    assert response.status_code == 200, response.headers.get("warning")
    await asyncio.to_thread(send, pacs, parsed(by_store), syntax)
    for data in (by_stow, by_store):
        dataset = parsed(data)
        job = await finished(pacs.client, dataset.StudyInstanceUID)
        assert (job["state"], job["skipped"]) == ("done", [])
        place = f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        place += f"/instances/{dataset.SOPInstanceUID}"
        held = parsed((await pacs.client.get(place, headers={"Accept": "application/dicom"})).content)
        assert held.file_meta.TransferSyntaxUID == syntax
        assert (held.pixel_array == dataset.pixel_array).all()
        (metadata,) = (await pacs.client.get(f"{place}/metadata")).json()
        assert metadata["00100020"]["Value"] == [dataset.PatientID]
        sr = await pacs.client.get(f"/v1/jobs/{job['id']}/report", headers={"Accept": "application/dicom"})
        assert parsed(sr.content).PatientID == dataset.PatientID


def send(pacs: Service, dataset: Dataset, syntax: UID) -> None:
    entity = AE(ae_title="SENDER")
    entity.add_requested_context(ComputedRadiographyImageStorage, syntax)
    association = entity.associate("127.0.0.1", pacs.app.state.service.studies.scp.port, ae_title="LLMCXR")
    assert association.is_established
    assert association.send_c_store(dataset).Status == 0x0000
    association.release()


@pytest.mark.parametrize("syntax", WRITTEN, ids=lambda syntax: UID(syntax).keyword)
async def test_an_upload_is_reported_on_as_json_and_as_sr_in_any_transfer_syntax(service: Service, syntax: UID) -> None:
    data = written(syntax)
    for accept in ("application/json", "application/dicom"):
        response = await service.client.post("/v1/reports", files={"image": data}, headers={"Accept": accept})
        assert response.status_code == 200, response.text
    assert parsed(response.content).StudyInstanceUID == parsed(data).StudyInstanceUID


async def test_an_odd_deflated_stream_may_be_padded(pacs: Service) -> None:
    data = written(UID("1.2.840.10008.1.2.1.99"))
    # PS3.5 A.5: a null byte makes the length even.
    assert (await stow(pacs.client, data + b"\0")).status_code == 200
