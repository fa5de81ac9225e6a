"""Erasure of studies: nothing is left in any file or table, and nothing of others is touched."""

import asyncio
import contextlib
import sqlite3

import pytest

from app.security.audit import Kind
from app.security.audit.events import DataSubjects
from app.security.identity import Pseudonyms, Scope
from app.security.keys import Keys
from app.settings import Settings
from tests.support.audit import events_of
from tests.support.erasure import OTHER, WORDS, found_in, study_of
from tests.support.service import Service, running
from tests.support.studies import finished, instance, parsed, quick, stow


async def test_a_deleted_study_is_nowhere_and_the_others_stay(
    pacs: Service, settings: Settings, url: str | None
) -> None:
    study, other = await study_of(pacs, **WORDS), await study_of(pacs, **OTHER)
    job = (await pacs.client.get("/v1/jobs", params={"study": study})).json()["data"][0]["id"]
    assert found_in(settings.state_dir, url)
    assert (await pacs.client.delete(f"/dicom-web/studies/{study}")).status_code == 204
    assert found_in(settings.state_dir, url) == {}
    assert (await pacs.client.get(f"/v1/jobs/{job}")).status_code == 404
    assert (await pacs.client.get(f"/dicom-web/studies/{study}")).status_code == 404
    assert (await pacs.client.delete(f"/dicom-web/studies/{study}")).status_code == 404
    assert (await pacs.client.get(f"/dicom-web/studies/{other}")).status_code == 200
    assert (await pacs.client.get("/v1/jobs")).json()["total"] == 1
    if url is None:
        with contextlib.closing(sqlite3.connect(settings.state_dir / "cxr.sqlite")) as database:
            assert job not in "\n".join(database.iterdump())


async def test_a_study_that_is_being_read_ends_and_is_deleted(pacs: Service, settings: Settings) -> None:
    pacs.engine.step_seconds = 0.2
    data = instance(**WORDS)
    study = str(parsed(data).StudyInstanceUID)
    await stow(pacs.client, data)
    await asyncio.sleep(0.5)
    assert (await pacs.client.delete(f"/dicom-web/studies/{study}")).status_code == 204
    pacs.engine.step_seconds = 0.0
    await asyncio.sleep(1.0)
    assert (await pacs.client.get("/v1/jobs")).json()["total"] == 0
    assert not list((settings.state_dir / "spool").glob("*.dcm"))
    # The same instance may come again, and is read as if it was new.
    await stow(pacs.client, data)
    assert (await finished(pacs.client, study))["state"] == "done"


@pytest.mark.parametrize("documents", [False, True])
async def test_parts_of_a_study_are_deleted_with_or_without_what_was_written(pacs: Service, documents: bool) -> None:
    first = instance(**OTHER)
    study = str(parsed(first).StudyInstanceUID)
    more = instance(StudyInstanceUID=study, InstanceNumber=2, **OTHER)
    await stow(pacs.client, first, more)
    job = await finished(pacs.client, study)
    read = next(parsed(data) for data in (first, more) if parsed(data).SOPInstanceUID == job["image"])
    path = f"/dicom-web/studies/{study}/series/{read.SeriesInstanceUID}/instances/{read.SOPInstanceUID}"
    response = await pacs.client.delete(path, params={"documents": documents})
    assert response.status_code == 204
    assert (await pacs.client.get(path)).status_code == 404
    assert (await pacs.client.get(f"/v1/jobs/{job['id']}")).status_code == (404 if documents else 200)
    left = (await pacs.client.get(f"/dicom-web/studies/{study}/instances")).json()
    assert len(left) == (1 if documents else 1 + len(job["documents"]))


async def test_a_document_that_is_deleted_takes_its_job_along(pacs: Service) -> None:
    study = await study_of(pacs, **OTHER)
    series = (await pacs.client.get(f"/dicom-web/studies/{study}/series", params={"Modality": "SR"})).json()
    uid = series[0]["0020000E"]["Value"][0]
    assert (await pacs.client.delete(f"/dicom-web/studies/{study}/series/{uid}")).status_code == 204
    assert (await pacs.client.get("/v1/jobs")).json()["total"] == 0
    left = (await pacs.client.get(f"/dicom-web/studies/{study}/instances")).json()
    assert [one["00080060"]["Value"][0] for one in left] == ["CR"]


async def test_an_erased_study_gives_its_tokens_back(settings: Settings) -> None:
    token = Keys(settings.keys_file).create("a", (Scope.ADMIN,), tokens_per_day=2_500)
    async with running(quick(settings, quiet_seconds=30.0), durable=True) as service:
        service.client.headers["X-API-Key"] = token
        for _ in range(6):
            data = instance()
            assert (await stow(service.client, data)).status_code == 200
            uid = parsed(data).StudyInstanceUID
            assert (await service.client.delete(f"/dicom-web/studies/{uid}")).status_code == 204


async def test_ages_remove_documents_reports_and_at_last_everything(settings: Settings) -> None:
    day = 1e-6
    changed = quick(settings, retention_hours=0.0, document_retention_days=day)
    async with running(changed, durable=True) as service:
        study = await study_of(service, **WORDS)
        await asyncio.sleep(0.3)
        await service.app.state.service.studies.remove_due()
        job = (await service.client.get("/v1/jobs", params={"study": study})).json()["data"][0]["id"]
        assert (await service.client.get(f"/v1/jobs/{job}/report")).status_code == 404
        assert not list((settings.state_dir / "spool").glob("*.dcm"))
        assert len((await service.client.get("/dicom-web/studies")).json()) == 1
    async with running(quick(settings, row_retention_days=day), durable=True) as service:
        deadline = asyncio.get_running_loop().time() + 10
        while (await service.client.get("/dicom-web/studies")).json():
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.1)
        assert (await service.client.get("/v1/jobs")).json()["total"] == 0
    assert found_in(settings.state_dir, None) == {}
    removed = [one for one in events_of(settings.state_dir) if one["event"] == Kind.EXPIRED]
    patient = DataSubjects(Pseudonyms.from_state_dir(settings.state_dir)).patient("SENTINELID")
    assert removed
    assert all(one["patients"] == [patient] for one in removed)
