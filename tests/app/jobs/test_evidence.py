"""Studies whose headers say what their images show: read, skipped or refused, from STOW-RS to the job's end."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from app.settings import Settings
from tests.support.service import Service, running
from tests.support.studies import finished, instance, parsed, quick, stow


@pytest.fixture
async def pacs(settings: Settings) -> AsyncIterator[Service]:
    """The application on fakes, taking studies."""
    async with running(quick(settings), durable=True) as started:
        yield started


async def job_of(pacs: Service, *parts: bytes) -> dict[str, Any]:
    await stow(pacs.client, *parts)
    return await finished(pacs.client, str(parsed(parts[0]).StudyInstanceUID))


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"ViewPosition": "L LAT"}, "not_frontal"),
        ({"ViewPosition": "XTABLE LAT"}, "not_frontal"),
        ({"ViewPosition": "", "SeriesDescription": "Chest LAT"}, "not_frontal"),
        ({"ViewPosition": "", "PatientOrientation": ["A", "F"]}, "not_frontal"),
        ({"BodyPartExamined": "", "StudyDescription": "XR KNEE", "SeriesDescription": "Knee ap"}, "not_chest"),
        ({"QualityControlImage": "YES"}, "quality_control_image"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing"),
    ],
)
async def test_a_study_without_a_frontal_chest_radiograph_has_no_report(
    pacs: Service, attributes: dict[str, object], code: str
) -> None:
    job = await job_of(pacs, instance(**attributes))
    assert (job["state"], job["reason"]["code"]) == ("done", "no_frontal_image")
    assert [one["code"] for one in job["skipped"]] == [code]


@pytest.mark.parametrize("orientation", [["L", "H"], ["F", "L"], ["R", "F"]])
async def test_an_image_that_was_turned_is_read_with_a_warning(pacs: Service, orientation: list[str]) -> None:
    job = await job_of(pacs, instance(PatientOrientation=orientation))
    assert job["documents"]
    assert any("PatientOrientation" in warning for warning in job["warnings"])


async def test_the_frontal_film_is_read_although_the_lateral_came_first(pacs: Service) -> None:
    lateral = instance(ViewPosition="", SeriesDescription="Chest lat")
    frontal = instance(ViewPosition="", SeriesDescription="Chest pa", StudyInstanceUID=parsed(lateral).StudyInstanceUID)
    job = await job_of(pacs, lateral, frontal)
    assert job["image"] == parsed(frontal).SOPInstanceUID
    assert [one["code"] for one in job["skipped"]] == ["not_frontal"]


async def test_the_original_is_read_and_not_another_makers_capture(pacs: Service) -> None:
    original = instance(ViewPosition="", ImageType=["ORIGINAL", "PRIMARY"])
    capture = instance(
        SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", ImageType=["DERIVED", "SECONDARY"],
        Manufacturer="Other", BurnedInAnnotation="YES", StudyInstanceUID=parsed(original).StudyInstanceUID,
    )  # fmt: skip
    job = await job_of(pacs, capture, original)
    assert job["image"] == parsed(original).SOPInstanceUID


async def test_two_patients_in_one_study_fail_it_in_words_before_anything_is_read(pacs: Service) -> None:
    one = instance(PatientID="A1", PatientName="Alpha^Ann")
    other = instance(PatientID="B2", PatientName="Beta^Bob", StudyInstanceUID=parsed(one).StudyInstanceUID)
    job = await job_of(pacs, one, other)
    assert (job["state"], job["reason"]["code"]) == ("failed", "two_patients")
    assert job["documents"] == []
    assert job["image"] is None


async def test_searches_return_nothing_that_only_the_evidence_needs(pacs: Service) -> None:
    data = instance(ImageType=["ORIGINAL", "PRIMARY"], PatientOrientation=["L", "F"], ProtocolName="Thorax")
    uid = str(parsed(data).StudyInstanceUID)
    await job_of(pacs, data)
    found = (await pacs.client.get(f"/dicom-web/studies/{uid}/instances")).json()
    assert found
    assert not any({"00080008", "00200020", "00181030"} & set(item) for item in found)
