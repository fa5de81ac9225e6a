"""UIDs with leading zeros: taken with a warning, and kept as they are wherever they go; refused where that is set."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

from app.dicom.status import FailureReason
from app.dicom.uids import is_valid_uid
from app.imaging.headers import Headers
from app.settings import DestinationSettings, DimseSettings, ImagingSettings, Settings
from tests.support.connections import FAILED_CONNECTIONS
from tests.support.ingest import Held
from tests.support.pacs import FakePacs
from tests.support.service import Service, running
from tests.support.studies import failures, finished, instance, other_failures, parsed, quick, stored, stow

pytestmark = FAILED_CONNECTIONS
LEVELS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
B000, B0A2 = 0xB000, 0xB0A2


def with_zeros(*keywords: str) -> bytes:
    """The sample with leading zeros in some of its UIDs."""
    return instance(**{keyword: f"{generate_uid()[:50]}.007" for keyword in keywords})


async def service_of(settings: Settings, lenient: bool, *destinations: DestinationSettings) -> Any:
    changed = quick(settings.model_copy(update={"dimse": DimseSettings(port=0), "destinations": destinations}))
    study = changed.study.model_copy(update={"documents": ("basic_text", "measurement", "capture")})
    imaging = changed.imaging.model_copy(update={"lenient_uids": lenient})
    return running(changed.model_copy(update={"study": study, "imaging": imaging}), durable=True)


@pytest.fixture
async def lenient(settings: Settings) -> AsyncIterator[Service]:
    with FakePacs().running() as pacs:
        async with await service_of(settings, True, pacs.destination) as started:
            started.pacs = pacs
            yield started


def send(service: Service, data: bytes) -> int:
    """The status of a C-STORE."""
    entity = AE(ae_title="SENDER")
    entity.add_requested_context(ComputedRadiographyImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", service.app.state.service.studies.scp.port, ae_title="LLMCXR")
    status = int(association.send_c_store(parsed(data)).Status)
    association.release()
    return status


@pytest.mark.parametrize("keywords", [*((level,) for level in LEVELS), LEVELS], ids=" ".join)
@pytest.mark.parametrize("way", ["stow", "dimse"])
async def test_such_an_instance_is_stored_with_a_warning_reported_on_and_found_under_its_own_uids(
    lenient: Service, keywords: tuple[str, ...], way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = with_zeros(*keywords)
    sent = parsed(data)
    study, series, sop = (str(sent[level].value) for level in LEVELS)
    if way == "stow":
        response = await stow(lenient.client, data, study=study)
        assert (response.status_code, stored(response)) == (202, [sop])
        assert response.json()["00081199"]["Value"][0]["00081196"]["Value"] == [B0A2]
        assert "leading zero" in response.headers["warning"]
    else:
        assert await asyncio.to_thread(send, lenient, data) == B000
    assert "leading zero" in "".join(capsys.readouterr())

    job = await finished(lenient.client, study)
    assert (job["state"], job["skipped"], len(job["documents"])) == ("done", [], 3)
    assert [one["state"] for one in job["deliveries"]] == ["delivered"]
    place = f"/dicom-web/studies/{study}/series/{series}/instances/{sop}"
    held = parsed((await lenient.client.get(place, headers={"Accept": "application/dicom"})).content)
    assert [str(held[level].value) for level in LEVELS] == [study, series, sop]
    (metadata,) = (await lenient.client.get(f"{place}/metadata")).json()
    assert metadata["00080018"]["Value"] == [sop]
    (found,) = (await lenient.client.get("/dicom-web/instances", params={"SOPInstanceUID": sop})).json()
    assert found["0020000D"]["Value"] == [study]
    report = await lenient.client.get(f"/v1/jobs/{job['id']}/report", headers={"Accept": "application/dicom"})
    written = parsed(report.content)
    assert written.StudyInstanceUID == study
    evidence = written.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.SeriesInstanceUID == series
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == sop
    fhir = await lenient.client.get(f"/v1/jobs/{job['id']}/report", headers={"Accept": "application/fhir+json"})
    assert study in fhir.text
    assert (await lenient.client.delete(f"/dicom-web/studies/{study}")).status_code in (200, 202, 204)


async def test_an_upload_gets_a_document(lenient: Service) -> None:
    data = with_zeros(*LEVELS)
    response = await lenient.client.post("/v1/reports", files={"image": data}, headers={"Accept": "application/dicom"})
    assert response.status_code == 200, response.text
    assert parsed(response.content).StudyInstanceUID == parsed(data).StudyInstanceUID


async def test_with_and_without_the_zero_are_two_studies(lenient: Service) -> None:
    stem = generate_uid()[:50]
    for uid, status in ((f"{stem}.7", 200), (f"{stem}.07", 202)):
        response = await stow(lenient.client, instance(StudyInstanceUID=uid))
        assert response.status_code == status
        assert (await finished(lenient.client, uid))["state"] == "done"


@pytest.mark.parametrize("keyword", LEVELS)
async def test_where_it_is_off_they_are_refused_by_stow_by_dimse_and_as_sources(
    settings: Settings, keyword: str
) -> None:
    data = with_zeros(keyword)
    async with await service_of(settings, False) as strict:
        response = await stow(strict.client, data)
        assert response.status_code == 409
        assert [*failures(response), *other_failures(response)] == [FailureReason.CANNOT_UNDERSTAND]
        assert await asyncio.to_thread(send, strict, data) == FailureReason.CANNOT_UNDERSTAND
        refused = await strict.client.post(
            "/v1/reports", files={"image": data}, headers={"Accept": "application/dicom"}
        )
        assert refused.status_code == 422
        assert (await stow(strict.client, instance())).status_code == 200


@pytest.mark.parametrize(
    ("uid", "strict", "lenient"),
    [
        ("1.2.3", True, True),
        ("1.0.3", True, True),
        ("0.1", True, True),
        ("1.02.3", False, True),
        ("01.2", False, True),
        ("1.00", False, True),
        ("1.2." + "3" * 60, True, True),
        ("1.2." + "3" * 61, False, False),
        ("1.2." + "0" * 61, False, False),
        ("", False, False),
        ("1..2", False, False),
        ("1.2.", False, False),
        (".1", False, False),
        ("1.2a", False, False),
        ("1/../2", False, False),
        ("1.2\n", False, False),
        ("1.٢", False, False),
    ],
)
def test_nothing_but_zeros_is_let_in(uid: str, strict: bool, lenient: bool) -> None:
    assert (is_valid_uid(uid), is_valid_uid(uid, lenient=True)) == (strict, lenient)
    assert Headers(ImagingSettings()).takes_uid(uid) is lenient
    assert Headers(ImagingSettings(lenient_uids=False)).takes_uid(uid) is strict


def test_a_file_without_file_meta_information_is_taken_too(held: Held) -> None:
    data = with_zeros(*LEVELS)
    dataset = parsed(data)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, dataset)
    receipt = held.accept(bytes(buffer.getvalue()))
    assert (receipt.failure, receipt.warning) == (None, B0A2)
