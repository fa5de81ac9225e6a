"""How urgent a study is: found with its report, kept with its job, told by the list, the webhook and the metric."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.delivery.webhook import Webhook
from app.jobs.report_steps import ReportSteps
from app.jobs.triage import priority_of
from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import Settings, StudySettings, WebhookSettings
from app.telemetry import metrics
from models.findings.calibration import FindingsCalibration
from tests.support.findings import FINDINGS, PNEUMONIA, calibration_of
from tests.support.service import Service, running
from tests.support.studies import finished, instance, parsed, quick, stow

THRESHOLDS = {"urgent_above": 0.5, "asap_above": 0.7, "stat_above": 0.9}


@contextlib.asynccontextmanager
async def reading(settings: Settings, *, calibrated: bool = True, **parts: Any) -> AsyncIterator[Service]:
    declared = {"findings": FINDINGS, "abnormal": "pneumonia", **parts}
    async with running(settings, durable=True, **declared) as service:
        if calibrated:
            found = {PNEUMONIA.name: calibration_of(PNEUMONIA, slope=1.0, intercept=0.0)}
            known = FindingsCalibration(weights_sha256="", split="validation", findings=found)
            vars(service.bundle)["findings_calibration"] = known
        yield service


def found(service: Service, probability: float) -> None:
    """Have the model hold the answer yes this probable."""
    yes = {"Y": probability, "N": 1.0 - probability}
    decode = service.bundle.vocabulary.decode
    service.engine.first_place = lambda prompt, token: math.log(yes.get(decode([token]), 0.5))


async def read(service: Service, probability: float = 0.8, **attributes: Any) -> dict[str, Any]:
    found(service, probability)
    data = instance(**attributes)
    assert (await stow(service.client, data)).status_code == 200
    return await finished(service.client, str(parsed(data).StudyInstanceUID))


async def test_a_job_has_its_findings_beside_its_report_and_the_list_what_orders_it(settings: Settings) -> None:
    before = metrics.STUDY_ABNORMAL._sum.get()
    async with reading(quick(settings, **THRESHOLDS)) as service:
        job = await read(service)
        (listed,) = (await service.client.get("/v1/jobs")).json()["data"]
        assert [len(one.scored) for one in service.engine.generations] == [0, 2, 2]
    assert job["report"]["text"]
    assert [(one["name"], one["probability"], one["calibrated"]) for one in job["findings"]] == [
        ("pneumonia", 0.8, True),
        ("normal", 0.5, False),
    ]
    assert job["findings"][0]["code"] == {"scheme": "SCT", "value": "233604007", "meaning": "Pneumonia"}
    assert job["warnings"] == []
    for one in (job, listed):
        assert (one["priority"], one["abnormal"]) == ("asap", {"probability": 0.8, "calibrated": True})
    assert metrics.STUDY_ABNORMAL._sum.get() - before == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("study", "parts", "priority", "warning"),
    [
        (THRESHOLDS, {}, "asap", None),
        ({}, {}, None, None),
        ({"findings": False}, {}, None, None),
        (THRESHOLDS, {"calibrated": False}, None, "is not calibrated"),
        ({**THRESHOLDS, "uncalibrated_priority": True}, {"calibrated": False}, "asap", "is not calibrated"),
        (THRESHOLDS, {"abnormal": None}, None, "does not say"),
        (THRESHOLDS, {"findings": (), "abnormal": None}, None, "does not say"),
        ({}, {"findings": (), "abnormal": None}, None, None),
    ],
)
async def test_a_priority_is_given_by_calibrated_probabilities_alone_and_its_lack_is_said(
    settings: Settings, study: dict[str, Any], parts: dict[str, Any], priority: str | None, warning: str | None
) -> None:
    async with reading(quick(settings, **study), **parts) as service:
        job = await read(service)
        text = (await service.client.get(f"/v1/jobs/{job['id']}/report")).text
    assert (job["state"], job["priority"]) == ("done", priority)
    assert len(job["warnings"]) == (warning is not None)
    assert (warning or "") in "".join(job["warnings"])
    assert (f"WARNING: {job['warnings'][0]}" in text) if warning else "WARNING" not in text
    if not study.get("findings", True) or parts.get("findings") == ():
        assert (job["findings"], job["abnormal"]) == ([], None)


async def test_the_list_by_priority_pages_from_the_most_urgent_to_the_most_normal(settings: Settings) -> None:
    async with reading(quick(settings, **THRESHOLDS)) as service:
        order = [0.95, 0.8, 0.6, 0.4, 0.1]
        for probability in (0.4, 0.95, 0.1, 0.6, 0.8):
            await read(service, probability)
        listed = []
        for offset in range(0, 5, 2):
            query = {"order": "priority", "limit": 2, "offset": offset}
            page = (await service.client.get("/v1/jobs", params=query)).json()
            assert page["total"] == 5
            listed += page["data"]
        assert (await service.client.get("/v1/jobs", params={"order": "x"})).status_code == 400
        newest = (await service.client.get("/v1/jobs")).json()["data"]
    assert [job["abnormal"]["probability"] for job in listed] == order
    assert [job["priority"] for job in listed] == ["stat", "asap", "urgent", "routine", "routine"]
    assert newest[0]["abnormal"]["probability"] == 0.8


async def test_the_webhook_is_told_the_priority_and_what_it_follows_from(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(self: Webhook, event: str, data: dict[str, Any], message_id: str) -> None:
        sent.put_nowait(data)

    monkeypatch.setattr(Webhook, "send", send)
    changed = quick(settings, **THRESHOLDS)
    async with reading(changed.model_copy(update={"webhook": WebhookSettings(url="http://receiver")})) as service:
        job = await read(service, 0.95)
        data = await asyncio.wait_for(sent.get(), 10)
    assert (data["priority"], data["abnormal"]) == ("stat", {"probability": 0.95, "calibrated": True})
    assert data["findings"] == job["findings"]


async def test_a_step_that_runs_again_after_a_stop_finds_the_same_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, whole, first = asyncio.Event(), ReportSteps.generate, []

    async def stuck(self: ReportSteps, run: Any) -> None:
        await whole(self, run)
        first.append(await self._jobs.get(run.job_id))
        reached.set()
        await asyncio.Event().wait()  # the step is not recorded as over

    monkeypatch.setattr(ReportSteps, "generate", stuck)
    data = instance()
    async with reading(quick(settings, **THRESHOLDS)) as service:
        found(service, 0.8)
        await stow(service.client, data)
        await asyncio.wait_for(reached.wait(), 10)
    monkeypatch.setattr(ReportSteps, "generate", whole)
    async with reading(quick(settings, **THRESHOLDS)) as service:
        found(service, 0.8)
        job = await finished(service.client, str(parsed(data).StudyInstanceUID))
        studies = service.app.state.service.studies
        assert (await studies.get(job["id"])).findings == first[0].findings
    assert (job["state"], job["priority"]) == ("done", "asap")


async def test_the_age_that_removes_the_reports_text_removes_findings_and_priority(settings: Settings) -> None:
    changed = quick(settings, retention_hours=0.0, document_retention_days=1e-6, **THRESHOLDS)
    async with reading(changed) as service:
        job = await read(service, 0.95)
        await asyncio.sleep(0.3)
        await service.app.state.service.studies.remove_due()
        listed = (await service.client.get("/v1/jobs", params={"order": "priority"})).json()["data"]
        detail = (await service.client.get(f"/v1/jobs/{job['id']}")).json()
    assert job["priority"] == "stat"
    assert (listed[0]["priority"], listed[0]["abnormal"], detail["findings"]) == (None, None, [])


async def test_a_retry_without_findings_leaves_none_of_the_run_before(settings: Settings) -> None:
    data = instance()
    study = str(parsed(data).StudyInstanceUID)
    # Its documents cannot be written, so that it fails behind its findings and may be run again.
    unwritable = quick(settings, **THRESHOLDS)
    async with reading(unwritable) as service:
        found(service, 0.95)
        await stow(service.client, instance(StudyInstanceUID=study, PatientID="12\n34"))
        failed = await finished(service.client, study)
    assert (failed["state"], failed["priority"]) == ("failed", "stat")
    async with reading(quick(settings, findings=False)) as service:
        assert (await service.client.post(f"/v1/jobs/{failed['id']}/retry")).status_code == 202
        again = await finished(service.client, study)
    assert (again["state"], again["priority"], again["findings"]) == ("failed", None, [])


async def test_who_may_not_read_reports_sees_no_probability_and_is_refused_the_order(settings: Settings) -> None:
    keys = Keys(settings.keys_file)
    reader, manager = (keys.create(name, (scope,)) for name, scope in [("r", Scope.ADMIN), ("m", Scope.JOBS_MANAGE)])
    async with reading(quick(settings, **THRESHOLDS)) as service:
        service.client.headers["Authorization"] = f"Bearer {reader}"
        job = await read(service)
        service.client.headers["Authorization"] = f"Bearer {manager}"
        (listed,) = (await service.client.get("/v1/jobs")).json()["data"]
        detail = (await service.client.get(f"/v1/jobs/{job['id']}")).json()
        refused = await service.client.get("/v1/jobs", params={"order": "priority"})
    assert (job["priority"], listed["priority"], detail["priority"]) == ("asap", None, None)
    assert (listed["abnormal"], detail["abnormal"], detail["findings"]) == (None, None, [])
    assert refused.status_code == 403
    assert "dicom:read" in refused.json()["detail"]


async def test_the_tokens_of_findings_count_for_who_sent_the_study(settings: Settings) -> None:
    async with reading(quick(settings)) as service:
        tokens = service.app.state.service.studies._tokens
        aside: list[int] = []
        used: list[int] = []

        def reserve(most: int) -> Any:
            aside.append(most)
            return used.append

        settle = tokens.set_aside(reserve)
        tokens.hold("job", settle)
        assert aside == [settings.limits.study_tokens * (1 + len(FINDINGS))]


@pytest.mark.parametrize(
    ("probability", "thresholds", "expected"),
    [
        (0.5, THRESHOLDS, "routine"),
        (0.51, THRESHOLDS, "urgent"),
        (0.9, THRESHOLDS, "asap"),
        (0.91, THRESHOLDS, "stat"),
        (0.91, {"urgent_above": 0.9}, "urgent"),
        (0.95, {"stat_above": 0.9}, "stat"),
        (0.0, {"stat_above": 0.9}, "routine"),
        (1.0, {}, None),
    ],
)
def test_the_highest_threshold_that_is_exceeded_counts(
    probability: float, thresholds: dict[str, float], expected: str | None
) -> None:
    assert priority_of(probability, StudySettings(**thresholds)) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"urgent_above": 1.0},
        {"urgent_above": -0.1},
        {"urgent_above": 0.9, "asap_above": 0.9},
        {"urgent_above": 0.9, "stat_above": 0.8},
        {"asap_above": 0.9, "stat_above": 0.8},
        {"findings": False, "stat_above": 0.8},
        {"uncalibrated_priority": True},
    ],
)
def test_thresholds_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(reversed(wrong))):
        StudySettings(**wrong)
