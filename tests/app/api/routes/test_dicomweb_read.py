"""QIDO-RS, WADO-RS and jobs, by hand and by dicomweb-client."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from dicomweb_client.api import DICOMwebClient

from app.settings import Settings
from tests.support.service import SHARED, Service, running
from tests.support.studies import failures, finished, instance, other_failures, parsed, quick, stored, stow


@pytest.fixture
async def pacs(settings: Settings) -> AsyncIterator[Service]:
    """The application on fakes, taking studies."""
    async with running(quick(settings), durable=True) as started:
        yield started


def uids(response: httpx.Response, tag: str) -> list[str]:
    """Values of a tag in a search's results."""
    assert response.status_code == 200, response.text
    return [item[tag]["Value"][0] for item in response.json()]


async def test_studies_are_found_by_their_keys(pacs: Service) -> None:
    first = instance(PatientID="P1", PatientName="Doe^Jane", StudyDate="20260105", AccessionNumber="A1")
    second = instance(PatientID="P2", PatientName="Roe^Richard", StudyDate="20260210", AccessionNumber="A2")
    await stow(pacs.client, first, second)
    one, two = parsed(first).StudyInstanceUID, parsed(second).StudyInstanceUID
    for query, expected in [
        ({"PatientID": "P1"}, {one}),
        ({"00100020": "P2"}, {two}),
        ({"PatientName": "doe*"}, {one}),
        ({"PatientName": "?oe^*"}, {one, two}),
        ({"PatientID": "P_"}, set()),
        ({"StudyDate": "20260101-20260131"}, {one}),
        ({"StudyDate": "20260201-"}, {two}),
        ({"AccessionNumber": "A2", "PatientID": "P1"}, set()),
        ({"StudyInstanceUID": f"{one},{two}"}, {one, two}),
        ({"ModalitiesInStudy": "CR"}, {one, two}),
        ({"ModalitiesInStudy": "CT"}, set()),
        ({}, {one, two}),
    ]:
        found = await pacs.client.get("/dicom-web/studies", params=query)
        assert set(uids(found, "0020000D")) == expected, query
    page = await pacs.client.get("/dicom-web/studies", params={"limit": 1})
    assert len(page.json()) == 1
    assert "more results" in page.headers["warning"]
    assert len((await pacs.client.get("/dicom-web/studies", params={"limit": 1, "offset": 1})).json()) == 1
    unsupported = await pacs.client.get("/dicom-web/studies", params={"sort": "up"})
    assert "not supported" in unsupported.headers["warning"]
    for unknown in ({"PatientComments": "x"}, {"00104000": "x"}):
        refused = await pacs.client.get("/dicom-web/studies", params=unknown)
        assert (refused.status_code, "PatientComments" in refused.json()["detail"]) == (400, True)
    assert (await pacs.client.get("/dicom-web/studies", params={"StudyDate": "May"})).status_code == 400
    assert (await pacs.client.get("/dicom-web/studies", params={"limit": "many"})).status_code == 400


async def test_series_instances_and_metadata_are_those_that_were_stored(pacs: Service) -> None:
    data = instance()
    dataset = parsed(data)
    await stow(pacs.client, data)
    await finished(pacs.client, dataset.StudyInstanceUID)
    study = f"/dicom-web/studies/{dataset.StudyInstanceUID}"
    series = f"{study}/series/{dataset.SeriesInstanceUID}"
    assert len(uids(await pacs.client.get(f"{study}/series"), "0020000E")) == 2
    assert uids(await pacs.client.get(f"{series}/instances"), "00080018") == [dataset.SOPInstanceUID]
    assert len(uids(await pacs.client.get(f"{study}/instances"), "00080018")) == 2
    assert len(uids(await pacs.client.get("/dicom-web/instances?Modality=SR"), "00080018")) == 1
    metadata = (await pacs.client.get(f"{series}/metadata")).json()
    assert metadata[0]["00100010"]["Value"][0]["Alphabetic"] == str(dataset.PatientName)
    assert metadata[0]["7FE00010"]["BulkDataURI"].endswith(f"{dataset.SOPInstanceUID}/bulkdata/7FE00010")
    whole = await pacs.client.get(study)
    assert whole.headers["content-type"].startswith('multipart/related; type="application/dicom"')
    assert data in whole.content
    one = await pacs.client.get(f"{series}/instances/{dataset.SOPInstanceUID}", headers={"Accept": "application/dicom"})
    assert one.content == data
    assert (await pacs.client.get("/dicom-web/studies/1.2.3")).status_code == 404
    assert (await pacs.client.get("/dicom-web/studies/1.2.x")).status_code == 400
    pictures = {"Accept": 'multipart/related; type="image/jpeg"'}
    assert (await pacs.client.get(study, headers=pictures)).status_code == 406


async def test_dicomweb_client_stores_searches_and_retrieves(pacs: Service) -> None:
    dataset = parsed(instance())
    server = uvicorn.Server(uvicorn.Config(pacs.app, port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    client = DICOMwebClient(f"http://127.0.0.1:{port}/dicom-web")

    def round_trip() -> None:
        answer = client.store_instances([dataset])
        assert answer.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == dataset.SOPInstanceUID
        assert client.search_for_studies(search_filters={"PatientID": dataset.PatientID})
        found = client.retrieve_instance(dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
        assert found.PixelData == dataset.PixelData
        assert len(client.retrieve_study(dataset.StudyInstanceUID)) >= 1
        assert client.retrieve_study_metadata(dataset.StudyInstanceUID)

    try:
        await asyncio.to_thread(round_trip)
    finally:
        server.should_exit = True
        await serving


async def test_a_job_can_be_cancelled_once_and_run_again(settings: Settings) -> None:
    async with running(quick(settings, quiet_seconds=0.4), durable=True) as pacs:
        data = instance()
        await stow(pacs.client, data)
        job = (await pacs.client.get("/v1/jobs")).json()["data"][0]
        assert (await pacs.client.delete(f"/v1/jobs/{job['id']}")).json()["state"] == "cancelled"
        await asyncio.sleep(0.8)
        detail = (await pacs.client.get(f"/v1/jobs/{job['id']}")).json()
        assert (detail["state"], detail["documents"]) == ("cancelled", [])
        assert (await pacs.client.post(f"/v1/jobs/{job['id']}/retry")).status_code == 202
        assert (await pacs.client.post(f"/v1/jobs/{job['id']}/retry")).status_code == 409
        assert (await finished(pacs.client, parsed(data).StudyInstanceUID))["state"] == "done"
        assert (await pacs.client.delete(f"/v1/jobs/{job['id']}")).status_code == 409
        assert (await pacs.client.get(f"/v1/jobs/{'0' * 32}")).status_code == 404
        assert (await pacs.client.get("/v1/jobs", params={"state": "nonsense"})).status_code == 400


async def test_a_jobs_report_is_offered_as_text_sr_and_fhir(pacs: Service) -> None:
    data = instance(AccessionNumber="A-7")
    await stow(pacs.client, data)
    job = await finished(pacs.client, parsed(data).StudyInstanceUID)
    place = f"/v1/jobs/{job['id']}/report"
    assert (await pacs.client.get(place)).text == job["report"]["text"]
    sr = parsed((await pacs.client.get(place, headers={"Accept": "application/dicom"})).content)
    fhir = (await pacs.client.get(place, headers={"Accept": "application/fhir+json"})).json()
    assert fhir["identifier"][0]["value"] == f"urn:oid:{sr.SOPInstanceUID}"
    assert fhir["basedOn"][0]["identifier"]["value"] == "A-7"
    assert (await pacs.client.get(place, headers={"Accept": "image/png"})).status_code == 406


async def test_retention_removes_pixel_data_and_keeps_results(settings: Settings) -> None:
    async with running(quick(settings, retention_hours=0.0), durable=True) as pacs:
        data = instance()
        dataset = parsed(data)
        await stow(pacs.client, data)
        job = await finished(pacs.client, dataset.StudyInstanceUID)
        assert await pacs.app.state.service.studies.remove_due() == 1
        study = f"/dicom-web/studies/{dataset.StudyInstanceUID}"
        held = await pacs.client.get(f"{study}/series/{dataset.SeriesInstanceUID}")
        assert held.status_code == 404
        report = await pacs.client.get(f"/v1/jobs/{job['id']}/report", headers={"Accept": "application/dicom"})
        assert parsed(report.content).Modality == "SR"
        assert len(list((settings.state_dir / "spool").glob("*.dcm"))) == 1
        assert (await stow(pacs.client, data)).status_code == 200
        assert len(list((settings.state_dir / "spool").glob("*.dcm"))) == 2  # acknowledged, so it is held again
        assert (await pacs.client.get("/v1/jobs")).json()["total"] == 1


@pytest.mark.skipif(not (SHARED / "dicom").is_dir(), reason="shared data is absent")
async def test_the_real_files_as_one_request_fail_each_with_its_reason(pacs: Service) -> None:
    files = [path for path in sorted((SHARED / "dicom").rglob("*")) if path.is_file() and path.suffix != ".csv"]
    response = await stow(pacs.client, *(Path(path).read_bytes() for path in files))
    assert response.status_code == 202
    told = len(stored(response)) + len(failures(response)) + len(other_failures(response))
    assert told == len(files)
    # Files that share a UID with another of other content, those without UIDs, and those that are no DICOM.
    assert set(failures(response)) <= {0x0111, 0xC000, 0xC122}
    assert set(other_failures(response)) == {0xC000}
    assert len(stored(response)) > 70
    studies = (await pacs.client.get("/dicom-web/studies", params={"limit": 1000})).json()
    for study in studies:
        job = await finished(pacs.client, study["0020000D"]["Value"][0], seconds=60)
        assert job["state"] in ("done", "failed")
        assert job["state"] == "done" or job["reason"]["code"] not in ("gave_up", "internal_error"), json.dumps(job)
