"""Erasure of studies and patients: nothing is left in any file or table, and nothing of others is touched."""

import asyncio
import contextlib
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from app.cli import app as cli
from app.settings import Settings
from tests.support.postgres import postgresql
from tests.support.service import Service, running
from tests.support.studies import finished, instance, parsed, quick, stow

WORDS = {
    "PatientName": "SENTINELNAME^X",
    "PatientID": "SENTINELID",
    "AccessionNumber": "SENTINELACC",
    "StudyDescription": "SENTINELDESC",
    "ReferringPhysicianName": "SENTINELREF",
    "PatientBirthDate": "19010203",
}
SENTINELS = [value.partition("^")[0].encode() for value in WORDS.values()]
OTHER = {"PatientID": "OTHERID", "PatientName": "OTHERNAME^Y"}


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgresql() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else request.getfixturevalue("server")


@pytest.fixture
async def pacs(settings: Settings, url: str | None) -> AsyncIterator[Service]:
    documents = ("basic_text", "measurement", "capture")
    changed = quick(settings, documents=documents).model_copy(update={"database_url": url and SecretStr(url)})
    if url is not None:
        empty = "DROP SCHEMA IF EXISTS dbos CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        subprocess.run(["psql", url, "-qc", empty], check=True, capture_output=True)
    async with running(changed, durable=True) as started:
        yield started


def found_in(folder: Path, url: str | None) -> dict[str, list[bytes]]:
    """Files of the state folder, and the database's dump, with what of the patient they hold."""
    texts = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    if url is not None:
        texts["dump"] = subprocess.run(["pg_dump", url], check=True, capture_output=True).stdout
    words = [*SENTINELS, *(word.decode().encode("utf-16-le") for word in SENTINELS)]
    return {name: held for name, text in texts.items() if (held := [word for word in words if word in text])}


async def study_of(service: Service, **attributes: Any) -> str:
    data = instance(**attributes)
    uid = str(parsed(data).StudyInstanceUID)
    assert (await stow(service.client, data)).status_code in (200, 202)
    await finished(service.client, uid)
    return uid


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


async def test_a_patient_is_erased_everywhere_and_another_in_the_same_study_stays(
    pacs: Service, settings: Settings, url: str | None
) -> None:
    await study_of(pacs, **WORDS)
    await study_of(pacs, **{**WORDS, "PatientID": "SENTINELID "})
    mixed = generate_uid()
    both = [instance(StudyInstanceUID=mixed, **of) for of in (WORDS, OTHER)]
    await stow(pacs.client, *both)
    assert (await finished(pacs.client, mixed))["reason"]["code"] == "two_patients"
    unknown = settings.state_dir / "spool" / "unknown"
    unknown.mkdir()
    (unknown / "a.dcm").write_bytes(instance(**WORDS))
    (unknown / "b.dcm").write_bytes(instance(**OTHER))
    options = ["studies", "delete", "--patient", "SENTINELID", "--state-dir", str(settings.state_dir)]
    environment = {} if url is None else {"CXR_DATABASE_URL": url}
    done = await asyncio.to_thread(CliRunner().invoke, cli, options, env=environment)
    assert done.exit_code == 0, done.output
    assert "Erased: 2 studies" in done.output
    assert found_in(settings.state_dir, url) == {}
    found = (await pacs.client.get("/dicom-web/studies")).json()
    assert [one["00100020"]["Value"] for one in found] == [["OTHERID"]]
    assert [file.name for file in unknown.iterdir()] == ["b.dcm"]
    again = await asyncio.to_thread(CliRunner().invoke, cli, options, env=environment)
    assert again.exit_code == 1


@pytest.mark.parametrize("arguments", [[], ["1.2.3", "--patient", "P"], ["--patient", " "]])
def test_the_command_asks_for_one_study_or_patient(tmp_path: Path, arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, ["studies", "delete", *arguments, "--state-dir", str(tmp_path)])
    assert done.exit_code != 0


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
