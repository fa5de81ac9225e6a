"""A study has one report of an image and a bundle, whenever its other images arrive."""

import asyncio
from typing import Any

import pytest

from app.delivery.webhook import Webhook
from app.jobs.report_steps import ReportSteps
from app.jobs.write_step import WriteStep
from app.settings import DestinationSettings, Settings, WebhookSettings
from app.store.records import Run
from benchmarks.ports import free_port
from tests.support.pacs import FakePacs
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


@pytest.mark.parametrize("repeated", [1, 2])
async def test_a_report_is_delivered_whose_step_is_repeated_after_another_revision_took_it_over(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, repeated: int
) -> None:
    """A kill between the documents' transaction and the step's checkpoint, at either revision."""
    whole, taken_over, runs = WriteStep.write, asyncio.Event(), 0

    async def killed(self: Any, run: Run) -> None:
        nonlocal runs
        if (await self._jobs.get(run.job_id)).revision != repeated:
            await written.wait()
            await whole(self, run)
            taken_over.set()
            return
        await whole(self, run)
        written.set()
        await taken_over.wait()
        runs += 1
        await whole(self, run)

    written = asyncio.Event()
    monkeypatch.setattr(WriteStep, "write", killed)
    frontal, lateral, study = two_images()
    with FakePacs().running() as pacs:
        changed = quick(settings).model_copy(update={"destinations": (pacs.destination,)})
        async with running(changed, durable=True) as service:
            await stow(service.client, frontal)
            await state(service, study, 1, "running")
            await stow(service.client, lateral)
            jobs = {number: await finished(service.client, study, revision=number) for number in (1, 2)}
            assert (runs, pacs.requests) == (1, 1)
            assert jobs[repeated]["reason"] is None
            assert jobs[3 - repeated]["reason"]["code"] == "unchanged"


async def test_a_study_without_a_frontal_image_ends_with_its_message_where_the_step_is_repeated(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, sent = ReportSteps.encode, []

    async def killed(self: Any, run: Run) -> bool:
        await whole(self, run)
        return await whole(self, run)

    async def send(self: Webhook, event: str, body: dict[str, Any], message_id: str) -> None:
        sent.append(event)

    monkeypatch.setattr(ReportSteps, "encode", killed)
    monkeypatch.setattr(Webhook, "send", send)
    _, lateral, study = two_images()
    changed = quick(settings).model_copy(update={"webhook": WebhookSettings(url="http://receiver")})
    async with running(changed, durable=True) as service:
        await stow(service.client, lateral)
        job = await finished(service.client, study)
        assert (job["state"], job["reason"]["code"]) == ("done", "no_frontal_image")
        async with asyncio.timeout(20):
            while not sent:
                await asyncio.sleep(0.02)
    assert sent == ["job.done"]
