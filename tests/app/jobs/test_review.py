"""A study whose report is doubted: it warns, or waits for a person, and nothing of it is lost or written twice."""

import asyncio
import itertools
from typing import Any

import pytest

from app.delivery.webhook import Webhook
from app.jobs.write_step import WriteStep
from app.settings import Settings, StudySettings, WebhookSettings
from app.telemetry import metrics
from models.agreement import LOW_AGREEMENT
from tests.support.pacs import FakePacs
from tests.support.service import Service, running
from tests.support.studies import finished, instance, parsed, quick, stow

AGREE, DIFFER = ("Bacterial pneumonia.",), ("Bacterial pneumonia.", "Bacterial pneumonia.", "Viral pneumonia.")


def doubting(settings: Settings, on_doubt: str = "review", **study: Any) -> Settings:
    return quick(settings, samples=2, doubt_above=0.4, on_doubt=on_doubt, **study)


def write(service: Service, texts: tuple[str, ...]) -> None:
    """Have the model write the texts over and over: a report, and two samples."""
    written = itertools.cycle(texts)
    service.engine.write = lambda prompt: next(written)


async def sent(service: Service, texts: tuple[str, ...] = DIFFER, **attributes: Any) -> str:
    write(service, texts)
    data = instance(**attributes)
    assert (await stow(service.client, data)).status_code == 200
    return str(parsed(data).StudyInstanceUID)


async def in_review(service: Service, study: str, revision: int = 1) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            query = {"study": study, "state": "review"}
            for job in (await service.client.get("/v1/jobs", params=query)).json()["data"]:
                if job["revision"] == revision:
                    return (await service.client.get(f"/v1/jobs/{job['id']}")).json()  # type: ignore[no-any-return]
            await asyncio.sleep(0.02)


async def change(service: Service, job: dict[str, Any], what: str) -> int:
    return (await service.client.post(f"/v1/jobs/{job['id']}/{what}")).status_code


async def documents(service: Service, study: str) -> list[bytes]:
    headers = {"Accept": "application/dicom+json"}
    path = f"/dicom-web/studies/{study}/instances"
    found = (await service.client.get(path, params={"Modality": "SR"}, headers=headers)).json()
    series = [f"/dicom-web/studies/{study}/series/{one['0020000E']['Value'][0]}" for one in found]
    return [(await service.client.get(one)).content for one in series]


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], str]]:
    """What the webhook is sent: event, data, id."""
    found: list[tuple[str, dict[str, Any], str]] = []

    async def send(self: Webhook, event: str, data: dict[str, Any], message_id: str) -> None:
        found.append((event, data, message_id))

    monkeypatch.setattr(Webhook, "send", send)
    return found


@pytest.mark.parametrize(
    ("samples", "limit", "texts", "doubt", "warned"),
    [
        (0, None, DIFFER, None, False),
        (2, None, DIFFER, 0.5, False),
        (2, 0.4, AGREE, 0.0, False),
        (2, 0.5, DIFFER, 0.5, False),
        (2, 0.4, DIFFER, 0.5, True),
    ],
)
async def test_a_doubted_report_warns_in_the_job_its_documents_and_the_webhook(
    settings: Settings,
    messages: list[tuple[str, dict[str, Any], str]],
    samples: int,
    limit: float | None,
    texts: tuple[str, ...],
    doubt: float | None,
    warned: bool,
) -> None:
    changed = quick(settings, samples=samples, doubt_above=limit)
    changed = changed.model_copy(update={"webhook": WebhookSettings(url="http://receiver")})
    before = metrics.STUDY_DOUBT._sum.get()
    async with running(changed, durable=True) as service:
        study = await sent(service, texts)
        job = await finished(service.client, study)
        headers = {"Accept": "application/fhir+json"}
        fhir = (await service.client.get(f"/v1/jobs/{job['id']}/report", headers=headers)).text
        (document,) = await documents(service, study)
        assert len(service.engine.generations) == samples + 1
        async with asyncio.timeout(10):
            while not messages:
                await asyncio.sleep(0.02)
    assert (job["state"], job["doubt"], job["report"]["text"]) == ("done", doubt, texts[0])
    assert metrics.STUDY_DOUBT._sum.get() - before == (doubt or 0.0)
    ((_, data, _),) = messages
    for told in (job["warnings"], fhir, document.decode("latin-1"), data["warnings"]):
        assert (LOW_AGREEMENT in told) is warned


async def test_a_report_in_review_is_written_and_sent_once_it_is_released(
    settings: Settings, messages: list[tuple[str, dict[str, Any], str]]
) -> None:
    with FakePacs().running() as pacs:
        webhook = WebhookSettings(url="http://receiver")
        changed = doubting(settings).model_copy(update={"destinations": (pacs.destination,), "webhook": webhook})
        async with running(changed, durable=True) as service:
            study = await sent(service)
            job = await in_review(service, study)
            assert job["report"]["text"] == DIFFER[0]
            assert (job["documents"], job["warnings"], job["doubt"]) == ([], [LOW_AGREEMENT], 0.5)
            assert (await service.client.get(f"/v1/jobs/{job['id']}/report")).text.startswith(
                f"WARNING: {LOW_AGREEMENT}"
            )
            assert 'cxr_study_jobs{state="review"} 1.0' in (await service.client.get("/metrics")).text
            await asyncio.sleep(1.0)
            assert pacs.requests == 0
            generated = len(service.engine.generations)
            assert await change(service, job, "retry") == 409
            assert await change(service, job, "release") == 202
            assert await change(service, job, "release") == 409
            done = await finished(service.client, study)
            assert len(service.engine.generations) == generated
            assert (done["state"], done["report"], done["warnings"]) == ("done", job["report"], [LOW_AGREEMENT])
            assert len(await documents(service, study)) == 1
            async with asyncio.timeout(10):
                while len(messages) < 2:
                    await asyncio.sleep(0.02)
        assert pacs.requests == 1
    assert [(event, data["state"]) for event, data, _ in messages] == [("job.review", "review"), ("job.done", "done")]
    assert len({message_id for _, _, message_id in messages}) == 2


async def test_a_report_that_is_not_doubted_waits_for_nobody(settings: Settings) -> None:
    async with running(doubting(settings), durable=True) as service:
        job = await finished(service.client, await sent(service, AGREE))
    assert (job["state"], job["warnings"]) == ("done", [])


async def test_a_job_in_review_can_be_cancelled_and_is_read_anew_when_it_is_run_again(settings: Settings) -> None:
    async with running(doubting(settings), durable=True) as service:
        study = await sent(service)
        job = await in_review(service, study)
        assert (await service.client.delete(f"/v1/jobs/{job['id']}")).json()["state"] == "cancelled"
        assert await change(service, job, "release") == 409
        assert await documents(service, study) == []
        write(service, AGREE)
        assert await change(service, job, "retry") == 202
        again = await finished(service.client, study)
        assert (again["state"], again["doubt"]) == ("done", 0.0)


@pytest.mark.parametrize("released", [False, True])
async def test_a_restart_leaves_it_in_review_or_released(settings: Settings, released: bool) -> None:
    changed = doubting(settings)
    async with running(changed, durable=True) as service:
        study = await sent(service)
        job = await in_review(service, study)
        if released:
            assert await change(service, job, "release") == 202
    async with running(changed, durable=True) as service:
        if not released:
            assert (await in_review(service, study))["report"] == job["report"]
            assert await change(service, job, "release") == 202
        done = await finished(service.client, study)
        assert (done["state"], done["report"]) == ("done", job["report"])
        assert len(service.engine.generations) == 0
        assert len(await documents(service, study)) == 1


@pytest.mark.parametrize("at", ["review", "write"])
async def test_a_stop_in_the_middle_of_either_step_goes_on_after_the_next_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    whole = WriteStep._write

    async def stuck(self: WriteStep, run: Any) -> None:
        # Before it is written down that the step is over: in review already, or released and not yet written.
        if at == "review":
            await whole(self, run)
        elif run.number == 1:
            return await whole(self, run)
        reached.set()
        await go_on.wait()
        return None

    changed = doubting(settings)
    monkeypatch.setattr(WriteStep, "_write", stuck)
    async with running(changed, durable=True) as service:
        study = await sent(service)
        job = await in_review(service, study)
        if at == "write":
            assert await change(service, job, "release") == 202
        await asyncio.wait_for(reached.wait(), 10)
    monkeypatch.setattr(WriteStep, "_write", whole)
    async with running(changed, durable=True) as service:
        if at == "review":
            await in_review(service, study)
            assert await change(service, job, "release") == 202
        done = await finished(service.client, study)
        assert (done["state"], done["report"]) == ("done", job["report"])
        assert len(await documents(service, study)) == 1


async def test_of_two_revisions_in_review_that_read_one_image_one_is_written(settings: Settings) -> None:
    async with running(doubting(settings), durable=True) as service:
        study = await sent(service)
        first = await in_review(service, study)
        await sent(service, StudyInstanceUID=study, ViewPosition="LL")
        second = await in_review(service, study, 2)
        assert await change(service, second, "release") == 202
        assert (await finished(service.client, study, 2))["state"] == "done"
        assert await change(service, first, "release") == 202
        assert (await finished(service.client, study))["reason"]["code"] == "unchanged"
        assert len(await documents(service, study)) == 1


async def test_images_of_a_job_in_review_are_kept_and_a_study_is_erased_with_it(settings: Settings) -> None:
    async with running(doubting(settings, retention_hours=0.0, failed_retention_hours=0.0), durable=True) as service:
        study = await sent(service)
        await in_review(service, study)
        assert await service.app.state.service.studies.remove_due() == 0
        assert (await service.client.delete(f"/dicom-web/studies/{study}")).status_code < 300
        assert (await service.client.get("/v1/jobs", params={"study": study})).json()["data"] == []


@pytest.mark.parametrize(
    "wrong",
    [{"samples": 1}, {"samples": 17}, {"doubt_above": 0.5}, {"samples": 2, "doubt_above": 1.1}, {"on_doubt": "x"}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(reversed(wrong))):
        StudySettings(**wrong)
