"""A study has one report of an image and a bundle, whenever its other images arrive."""

import asyncio
from typing import Any

import pytest

from app.jobs.report_steps import ReportSteps
from app.jobs.write_step import WriteStep
from app.settings import DestinationSettings, Settings
from benchmarks.ports import free_port
from tests.support.service import Service, running
from tests.support.studies import finished, instance, parsed, quick, stow


def two_images() -> tuple[bytes, bytes, str]:
    """A frontal image, a lateral one of the same study, and its UID."""
    frontal = instance()
    study = str(parsed(frontal).StudyInstanceUID)
    return frontal, instance(StudyInstanceUID=study, ViewPosition="LL"), study


async def state(service: Service, study: str, revision: int, *wanted: str) -> dict[str, Any]:
    """The job of a revision, once it is in one of the states."""
    async with asyncio.timeout(20):
        while True:
            listed = (await service.client.get("/v1/jobs", params={"study": study})).json()["data"]
            for job in listed:
                if job["revision"] == revision and job["state"] in wanted:
                    found: dict[str, Any] = (await service.client.get(f"/v1/jobs/{job['id']}")).json()
                    return found
            await asyncio.sleep(0.02)


async def documents(service: Service, study: str) -> int:
    headers = {"Accept": "application/dicom+json"}
    held = await service.client.get(f"/dicom-web/studies/{study}/instances", params={"Modality": "SR"}, headers=headers)
    return len(held.json())


async def test_the_report_stands_that_waits_for_a_destination_which_is_down(settings: Settings) -> None:
    down = DestinationSettings(name="pacs", dicomweb_url=f"http://127.0.0.1:{free_port()}/dicom-web")
    frontal, lateral, study = two_images()
    async with running(quick(settings.model_copy(update={"destinations": (down,)})), durable=True) as service:
        await stow(service.client, frontal)
        first = await state(service, study, 1, "delivering")
        await stow(service.client, lateral)
        second = await finished(service.client, study, revision=2)
        assert (second["reason"]["code"], second["documents"]) == ("unchanged", first["documents"])
        assert await documents(service, study) == 1


@pytest.mark.parametrize("at", ["generate", "write", "_source"])
async def test_of_two_revisions_at_once_one_writes_the_report(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    arrived: set[str] = set()
    both = asyncio.Event()
    owner: Any = ReportSteps if at == "generate" else WriteStep
    whole = getattr(owner, at)

    async def together(self: Any, what: Any) -> Any:
        arrived.add(what.id if at == "_source" else what.job_id)
        if len(arrived) == 2:
            both.set()
        await both.wait()
        return await whole(self, what)

    monkeypatch.setattr(owner, at, together)
    frontal, lateral, study = two_images()
    async with running(quick(settings), durable=True) as service:
        await stow(service.client, frontal)
        async with asyncio.timeout(20):
            while not arrived:
                await asyncio.sleep(0.02)
        await stow(service.client, lateral)
        jobs = [await finished(service.client, study, revision=number) for number in (1, 2)]
        assert sorted((job["reason"] or {}).get("code", "") for job in jobs) == ["", "unchanged"]
        assert jobs[0]["documents"] == jobs[1]["documents"]
        assert await documents(service, study) == 1
