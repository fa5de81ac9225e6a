"""STOW-RS: statuses, receipts, idempotence, bad input."""

from collections.abc import AsyncIterator

import pytest

from app.settings import Settings
from tests.support.service import Service, running
from tests.support.studies import (
    damaged,
    failures,
    finished,
    instance,
    multipart,
    other_failures,
    parsed,
    quick,
    stored,
    stow,
)


@pytest.fixture
async def pacs(settings: Settings) -> AsyncIterator[Service]:
    """The application on fakes, taking studies."""
    async with running(quick(settings), durable=True) as started:
        yield started


async def test_a_stored_study_becomes_a_report(pacs: Service) -> None:
    data = instance()
    uid = parsed(data).StudyInstanceUID
    response = await stow(pacs.client, data)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/dicom+json"
    assert stored(response) == [parsed(data).SOPInstanceUID]
    assert response.json()["00081190"]["Value"][0].endswith(f"/dicom-web/studies/{uid}")
    job = await finished(pacs.client, uid)
    assert job["state"] == "done", job
    assert job["report"]["text"]
    # The time of the last step is recorded behind the job's end.
    assert [step["name"] for step in job["steps"]][:3] == ["wait", "encode", "generate"]
    assert len(job["documents"]) == 1
    series = (await pacs.client.get(f"/dicom-web/studies/{uid}/series")).json()
    assert sorted(item["00080060"]["Value"][0] for item in series) == ["CR", "SR"]


async def test_the_same_instance_again_is_success_without_a_second_job(pacs: Service) -> None:
    data = instance()
    uid = parsed(data).StudyInstanceUID
    await stow(pacs.client, data)
    await finished(pacs.client, uid)
    again = await stow(pacs.client, data, data)
    assert again.status_code == 200
    assert len(stored(again)) == 2
    assert (await pacs.client.get("/v1/jobs", params={"study": uid})).json()["total"] == 1


async def test_the_same_uid_with_other_content_fails_and_the_first_is_kept(pacs: Service) -> None:
    first = instance()
    other = instance(
        SOPInstanceUID=parsed(first).SOPInstanceUID,
        StudyInstanceUID=parsed(first).StudyInstanceUID,
        PatientID="SOMEBODY-ELSE",
    )
    await stow(pacs.client, first)
    response = await stow(pacs.client, other)
    assert (response.status_code, failures(response)) == (409, [0x0111])
    both = await stow(pacs.client, first, other)
    assert (both.status_code, failures(both)) == (202, [0x0111])
    one = await stow(pacs.client, instance(), other)
    assert "1 of 2 instances failed" in one.headers["warning"]


async def test_a_late_instance_starts_a_new_revision_and_a_better_view_a_new_report(pacs: Service) -> None:
    lateral = instance(ViewPosition="LL")
    uid = parsed(lateral).StudyInstanceUID
    await stow(pacs.client, lateral)
    first = await finished(pacs.client, uid)
    assert first["state"] == "done"
    assert first["reason"]["code"] == "no_frontal_image"
    assert first["skipped"][0]["code"] == "not_frontal"
    frontal = instance(StudyInstanceUID=uid, ViewPosition="AP")
    await stow(pacs.client, frontal)
    second = await finished(pacs.client, uid, revision=2)
    assert second["image"] == parsed(frontal).SOPInstanceUID
    better = instance(StudyInstanceUID=uid, ViewPosition="PA")
    await stow(pacs.client, better)
    third = await finished(pacs.client, uid, revision=3)
    assert third["image"] == parsed(better).SOPInstanceUID
    assert third["documents"] != second["documents"]
    worse = instance(StudyInstanceUID=uid, ViewPosition="AP")
    await stow(pacs.client, worse)
    fourth = await finished(pacs.client, uid, revision=4)
    assert fourth["reason"]["code"] == "unchanged"
    assert fourth["documents"] == third["documents"]


async def test_our_own_documents_are_stored_and_never_read_again(pacs: Service) -> None:
    data = instance()
    uid = parsed(data).StudyInstanceUID
    await stow(pacs.client, data)
    job = await finished(pacs.client, uid)
    report = (await pacs.client.get(f"/v1/jobs/{job['id']}/report", headers={"Accept": "application/dicom"})).content
    assert parsed(report).Modality == "SR"
    changed = parsed(report)
    changed.SOPInstanceUID = changed.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    import io

    buffer = io.BytesIO()
    changed.save_as(buffer, enforce_file_format=True)
    assert (await stow(pacs.client, buffer.getvalue())).status_code == 200
    assert (await pacs.client.get("/v1/jobs", params={"study": uid})).json()["total"] == 1


async def test_a_damaged_image_fails_its_study_and_no_other(pacs: Service) -> None:
    good = instance()
    response = await stow(pacs.client, damaged(StudyInstanceUID="1.2.3"), good)
    assert response.status_code == 200
    assert (await finished(pacs.client, parsed(good).StudyInstanceUID))["state"] == "done"
    failed = await finished(pacs.client, "1.2.3")
    assert (failed["state"], failed["reason"]["code"]) == ("failed", "damaged_image")
    retried = await pacs.client.post(f"/v1/jobs/{failed['id']}/retry")
    assert retried.status_code == 202
    assert (await finished(pacs.client, "1.2.3"))["state"] == "failed"


async def test_a_mixed_request_names_each_failure_in_its_sequence(pacs: Service) -> None:
    good = instance()
    response = await stow(
        pacs.client,
        good,
        b"this is no DICOM instance at all, however long it may be",
        instance(SOPClassUID="1.2.840.10008.1.1"),
        instance(StudyInstanceUID="../../etc/passwd"),
        instance(SOPInstanceUID=None),
        b"",
    )
    assert response.status_code == 202
    assert stored(response) == [parsed(good).SOPInstanceUID]
    assert failures(response) == [0x0122, 0xC000]
    assert other_failures(response) == [0xC000, 0xC000, 0xC000]
    assert "SAMPLE" not in response.text + response.headers["warning"]


async def test_instances_of_another_study_than_the_requests_fail_with_a900(pacs: Service) -> None:
    data = instance()
    response = await stow(pacs.client, data, study="1.2.3")
    assert (response.status_code, failures(response)) == (409, [0xA900])
    assert (await stow(pacs.client, data, study=parsed(data).StudyInstanceUID)).status_code == 200
    assert (await stow(pacs.client, data, study="..%2F..%2Fetc")).status_code in (400, 404)
    # With a leading zero it is a UID that may be held.
    assert failures(await stow(pacs.client, data, study="1.02.3")) == [0xA900]
    assert (await stow(pacs.client, data, study="1.2.x")).status_code == 400


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/dicom", 415),
        ("multipart/form-data; boundary=x", 415),
        ('multipart/related; type="application/dicom+json"; boundary=x', 415),
        ('multipart/related; type="application/dicom"', 400),
        (f'multipart/related; type="application/dicom"; boundary={"x" * 129}', 400),
        ('multipart/related; type="application/dicom"; boundary=other', 400),
    ],
)
async def test_requests_that_are_no_stow_are_refused(pacs: Service, content_type: str, status: int) -> None:
    body, headers = multipart([instance()])
    headers["Content-Type"] = content_type
    response = await pacs.client.post("/dicom-web/studies", content=body, headers=headers)
    assert response.status_code == status, response.text


async def test_boundaries_may_be_quoted_and_text_may_stand_around_the_parts(pacs: Service) -> None:
    data, boundary = instance(), "a b:c?'()+_,-./="
    part = f"--{boundary}\r\ncontent-type: APPLICATION/DICOM; transfer-syntax=1.2.840.10008.1.2.1\r\n\r\n".encode()
    body = b"preamble\r\n" + part + data + f"\r\n--{boundary}--\r\nepilogue".encode()
    headers = {"Content-Type": f'Multipart/Related; Type="application/dicom"; boundary="{boundary}"'}
    response = await pacs.client.post("/dicom-web/studies", content=body, headers=headers)
    assert response.status_code == 200, response.text


async def test_a_boundary_of_73_characters_is_read_since_orthanc_sends_such(pacs: Service) -> None:
    boundary = "55d9b1cf-ada9-4e6e-9e91-19a703ccb561-55d9b1cf-ada9-4e6e-9e91-19a703ccb561"
    body = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + instance()
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}'}
    body += f"\r\n--{boundary}--".encode()
    assert (await pacs.client.post("/dicom-web/studies", content=body, headers=headers)).status_code == 200


async def test_a_body_that_breaks_off_stores_its_whole_parts_only(pacs: Service) -> None:
    first, second = instance(), instance()
    body, headers = multipart([first, second])
    response = await pacs.client.post("/dicom-web/studies", content=body[:-5_000], headers=headers)
    assert response.status_code == 202
    assert stored(response) == [parsed(first).SOPInstanceUID]
    assert other_failures(response) == [0xC000]
    assert (await pacs.client.post("/dicom-web/studies", content=body[:5_000], headers=headers)).status_code == 400
    assert (await pacs.client.post("/dicom-web/studies", content=b"", headers=headers)).status_code == 400


async def test_an_instance_without_preamble_is_stored_as_a_part_10_file(pacs: Service) -> None:
    dataset = parsed(instance())
    import io

    from pydicom.filewriter import dcmwrite

    buffer = io.BytesIO()
    dataset.preamble = None
    dcmwrite(buffer, dataset)
    assert buffer.getvalue()[128:132] != b"DICM"
    response = await stow(pacs.client, buffer.getvalue())
    assert response.status_code == 202
    assert response.json()["00081199"]["Value"][0]["00081196"]["Value"] == [0xB000]
    place = f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
    found = await pacs.client.get(
        f"{place}/instances/{dataset.SOPInstanceUID}", headers={"Accept": "application/dicom"}
    )
    assert parsed(found.content).PixelData == dataset.PixelData


async def test_a_full_disk_is_507_and_nothing_is_kept(settings: Settings) -> None:
    limits = settings.limits.model_copy(update={"min_free_mb": 10**9})
    async with running(quick(settings.model_copy(update={"limits": limits})), durable=True) as full:
        response = await stow(full.client, instance())
        assert response.status_code == 507
        assert other_failures(response) == [0xA700]
        assert response.headers["retry-after"]
        assert not list((settings.state_dir / "spool").glob("*.dcm"))


async def test_a_study_whose_file_is_gone_from_the_spool_fails_in_words(settings: Settings) -> None:
    async with running(quick(settings, quiet_seconds=1.5), durable=True) as pacs:
        data = instance()
        await stow(pacs.client, data)
        for file in (settings.state_dir / "spool").glob("*.dcm"):
            file.unlink()
        job = await finished(pacs.client, parsed(data).StudyInstanceUID)
        assert (job["state"], job["reason"]["code"]) == ("failed", "file_missing")
