"""Documents of studies and uploads: identifiers that cannot be written, and whose time it is."""

import io
from zoneinfo import ZoneInfo

import pydicom
import pytest

from app.settings import Settings
from tests.support.service import Service, running
from tests.support.studies import finished, instance, parsed, quick, stow

UNWRITABLE = {"PatientID": "12\n34"}


async def test_a_study_whose_identifier_cannot_be_written_fails_in_words(settings: Settings) -> None:
    async with running(quick(settings), durable=True) as service:
        data = instance(**UNWRITABLE)
        assert (await stow(service.client, data)).status_code == 200
        job = await finished(service.client, str(parsed(data).StudyInstanceUID))
    assert (job["state"], job["reason"]["code"]) == ("failed", "identifier_not_writable")
    assert "PatientID" in job["reason"]["detail"]
    assert "12" not in job["reason"]["detail"]


@pytest.mark.parametrize("media_type", ["application/dicom", "application/fhir+json"])
async def test_an_upload_whose_identifier_cannot_be_written_is_422_as_a_document(
    service: Service, media_type: str
) -> None:
    files = {"image": instance(**UNWRITABLE)}
    refused = await service.client.post("/v1/reports", files=files, headers={"Accept": media_type})
    assert (refused.status_code, refused.json()["code"]) == (422, "identifier_not_writable")
    assert (await service.client.post("/v1/reports", files=files)).status_code == 200


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Pacific/Chatham"])
async def test_a_document_is_in_the_services_time_where_the_image_states_none(settings: Settings, zone: str) -> None:
    changed = quick(settings).model_copy(update={"timezone": zone})
    async with running(changed, durable=True) as service:
        data = instance()
        await stow(service.client, data)
        study = str(parsed(data).StudyInstanceUID)
        job = await finished(service.client, study)
        path = f"/v1/jobs/{job['id']}/report"
        stored = await service.client.get(path, headers={"Accept": "application/dicom"})
        accept = {"Accept": "application/dicom"}
        uploaded = await service.client.post("/v1/reports", files={"image": data}, headers=accept)
    for answer in (stored, uploaded):
        document = pydicom.dcmread(io.BytesIO(answer.content))
        offset = {"Asia/Tokyo": ("+0900",), "Pacific/Chatham": ("+1245", "+1345")}[zone]
        assert document.TimezoneOffsetFromUTC in offset


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "", "../etc/passwd", "+01:00"])
def test_what_is_no_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="is no time zone"):
        Settings(timezone=zone)


def test_a_time_zone_is_known_by_its_name() -> None:
    assert Settings(timezone="Europe/Vienna").zone == ZoneInfo("Europe/Vienna")
    assert Settings().zone is None
