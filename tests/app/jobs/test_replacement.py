"""A corrected image is read again: its report names the one before, and says what was corrected."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from app.settings import Settings
from tests.app.ingest.test_transfer_syntaxes import written
from tests.support.service import Service, running
from tests.support.states import states
from tests.support.studies import finished, instance, parsed, quick, stow


@pytest.fixture
async def pacs(settings: Settings) -> AsyncIterator[Service]:
    """The application on fakes, taking studies."""
    async with running(quick(settings), durable=True) as started:
        yield started


async def document(pacs: Service, job: dict[str, Any], study: str) -> Dataset:
    """The job's document."""
    (uid,) = job["documents"]
    found = (await pacs.client.get(f"/dicom-web/studies/{study}/instances?SOPInstanceUID={uid}")).json()[0]
    url = f"/dicom-web/studies/{study}/series/{found['0020000E']['Value'][0]}/instances/{uid}"
    response = await pacs.client.get(url, headers={"Accept": "application/dicom"})
    return pydicom.dcmread(io.BytesIO(response.content))


async def test_a_corrected_image_gets_a_new_report_that_names_the_one_before(pacs: Service) -> None:
    before, after = states({"PatientName": "Wrong^Name"}, {"PatientName": "Right^Name", "AccessionNumber": "A-2"})
    study = parsed(before).StudyInstanceUID
    await stow(pacs.client, before)
    first = await finished(pacs.client, study)
    old = await document(pacs, first, study)
    response = await stow(pacs.client, after)
    assert (response.status_code, response.headers.get("warning")) == (200, None)
    second = await finished(pacs.client, study, revision=2)
    assert (second["state"], second["reason"]) == ("done", None)
    new = await document(pacs, second, study)
    assert (old.PatientName, new.PatientName, new.AccessionNumber) == ("Wrong^Name", "Right^Name", "A-2")
    (predecessor,) = new.PredecessorDocumentsSequence
    named = predecessor.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert named == old.SOPInstanceUID != new.SOPInstanceUID
    found = (await pacs.client.get(f"/dicom-web/studies?StudyInstanceUID={study}")).json()[0]
    assert found["00100010"]["Value"] == [{"Alphabetic": "Right^Name"}]
    assert (await pacs.client.get("/dicom-web/studies?PatientName=Wrong*")).status_code == 204 or (
        await pacs.client.get("/dicom-web/studies?PatientName=Wrong*")
    ).json() == []


async def test_a_corrected_view_is_read_where_the_wrong_one_was_not(pacs: Service) -> None:
    lateral, frontal = states({"ViewPosition": "LL"}, {"ViewPosition": "PA"})
    study = parsed(lateral).StudyInstanceUID
    await stow(pacs.client, lateral)
    assert (await finished(pacs.client, study))["reason"]["code"] == "no_frontal_image"
    await stow(pacs.client, frontal)
    second = await finished(pacs.client, study, revision=2)
    assert (second["state"], len(second["documents"])) == ("done", 1)


async def test_the_same_image_in_another_encoding_opens_no_revision(pacs: Service) -> None:
    base = instance(ImageType=["ORIGINAL", "PRIMARY"])
    study = parsed(base).StudyInstanceUID
    await stow(pacs.client, base)
    await finished(pacs.client, study)
    assert (await stow(pacs.client, written(RLELossless, base))).status_code == 200
    await asyncio.sleep(0.3)
    listed = (await pacs.client.get(f"/v1/jobs?study={study}")).json()["data"]
    assert [job["revision"] for job in listed] == [1]


async def test_an_image_that_is_replaced_while_it_is_read_is_reported_on_by_the_next_revision_alone(
    pacs: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = states({"PatientName": "Wrong^Name"}, {"PatientName": "Right^Name"})
    study = parsed(before).StudyInstanceUID
    reading, replaced = asyncio.Event(), asyncio.Event()
    from app.inference import pipelines

    report_on = pipelines.report_on

    async def slowly(*args: Any, **options: Any) -> Any:
        reading.set()
        await replaced.wait()
        return await report_on(*args, **options)

    monkeypatch.setattr(pipelines, "report_on", slowly)
    await stow(pacs.client, before)
    await asyncio.wait_for(reading.wait(), 15)
    assert (await stow(pacs.client, after)).status_code == 200
    replaced.set()
    first = await finished(pacs.client, study)
    assert (first["state"], first["reason"]["code"], first["documents"]) == ("done", "replaced", [])
    second = await finished(pacs.client, study, revision=2)
    assert (await document(pacs, second, study)).PatientName == "Right^Name"


async def test_a_revision_that_reads_the_same_state_of_the_image_leaves_the_report_as_it_is(pacs: Service) -> None:
    image, lateral = instance(), instance(ViewPosition="LL")
    study = parsed(image).StudyInstanceUID
    await stow(pacs.client, image)
    first = await finished(pacs.client, study)
    other = parsed(lateral)
    other.StudyInstanceUID = study
    buffer = io.BytesIO()
    other.save_as(buffer)
    await stow(pacs.client, buffer.getvalue())
    second = await finished(pacs.client, study, revision=2)
    assert (second["reason"]["code"], second["documents"]) == ("unchanged", first["documents"])


async def test_a_correction_that_is_taken_back_gets_a_report_of_its_own(pacs: Service) -> None:
    right, wrong = states({"AccessionNumber": "RIGHT"}, {"AccessionNumber": "WRONG"})
    study, sop = parsed(right).StudyInstanceUID, parsed(right).SOPInstanceUID
    for data in (right, wrong):
        await stow(pacs.client, data)
        job = await finished(pacs.client, study, revision=1 if data is right else 2)
    between = await document(pacs, job, study)
    place = f"/dicom-web/studies/{study}/series/{parsed(right).SeriesInstanceUID}/instances/{sop}"
    assert (await pacs.client.delete(place)).status_code == 204
    await stow(pacs.client, right)
    third = await finished(pacs.client, study, revision=3)
    assert third["reason"] is None
    new = await document(pacs, third, study)
    assert new.AccessionNumber == "RIGHT"
    (predecessor,) = new.PredecessorDocumentsSequence
    named = predecessor.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert named == between.SOPInstanceUID
