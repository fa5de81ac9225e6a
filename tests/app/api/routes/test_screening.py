"""Every image is looked at before it is reported on, and what was decided is in every answer."""

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.screening.fake import FRONTAL
from app.screening.protocol import Sight
from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import ScreenSettings, Settings
from tests.support.audit import events_of
from tests.support.service import Service, encoded, gradient, running
from tests.support.studies import finished, instance, parsed, quick, stow

PNG = encoded(gradient())
CAT = Sight(replace(FRONTAL, frontal=0.01, not_a_radiograph=0.98))
UPSIDE_DOWN = Sight(replace(FRONTAL, upright=0.01, turned_180=0.98))
MIRRORED = Sight(replace(FRONTAL, mirrored=0.98))


@pytest.mark.parametrize("path", ["/v1/reports", "/v1/answers"])
async def test_what_is_no_radiograph_is_422_with_what_was_seen_and_nothing_is_generated(
    service: Service, path: str
) -> None:
    service.screen.enqueue(CAT)
    asked = {"question": "Is there pneumonia?"} if "answers" in path else {}
    response = await service.client.post(path, files={"image": PNG}, data=asked)
    assert response.status_code == 422
    body = response.json()
    assert body["code"] == "not_a_radiograph"
    assert body["screen"]["not_a_radiograph"] == 0.98
    assert not service.engine.generations
    assert service.codec.encoded == 0


async def test_a_chat_about_what_is_no_radiograph_is_refused_in_openai_s_shape(service: Service) -> None:
    service.screen.enqueue(CAT)
    response = await service.client.post("/v1/chat/completions", json=_chat())
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "not_a_radiograph"


def _chat() -> dict[str, Any]:
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    part = {"type": "image_url", "image_url": {"url": url}}
    return {"model": "fake-1", "messages": [{"role": "user", "content": [part, {"type": "text", "text": "Normal?"}]}]}


async def test_a_film_that_lies_wrong_is_read_as_the_upright_one(settings: Settings) -> None:
    upside_down = encoded(np.ascontiguousarray(np.rot90(gradient(280, 280), 2)))
    async with running(settings) as service:
        plain = await service.client.post("/v1/reports", files={"image": encoded(gradient(280, 280))})
        service.screen.enqueue(UPSIDE_DOWN)
        turned = await service.client.post("/v1/reports", files={"image": upside_down})
        prompts = [generation.prompt for generation in service.engine.generations]
    assert plain.json()["image"]["screen"]["decision"] == "accepted"
    image = turned.json()["image"]
    assert image["screen"]["decision"] == "turned"
    assert "turned by 180 degrees" in image["warnings"][0]
    assert prompts[0] == prompts[1]


async def test_one_that_still_lies_wrong_after_it_was_turned_is_refused(service: Service) -> None:
    service.screen.enqueue(UPSIDE_DOWN, UPSIDE_DOWN)
    response = await service.client.post("/v1/reports", files={"image": PNG})
    assert (response.status_code, response.json()["code"]) == (422, "not_upright")


async def test_the_policy_is_a_setting(settings: Settings) -> None:
    lenient = settings.model_copy(update={"screen": ScreenSettings(not_chest="warn")})
    async with running(lenient) as service:
        service.screen.enqueue(CAT)
        response = await service.client.post("/v1/reports", files={"image": PNG})
    assert response.status_code == 200
    assert "does not look like a radiograph" in response.json()["image"]["warnings"][0]


@pytest.mark.parametrize(("setting", "status", "warnings"), [("refuse", 422, 0), ("warn", 200, 2), ("off", 200, 0)])
async def test_a_header_that_says_nothing_is_refused_warned_about_or_taken(
    settings: Settings, setting: Any, status: int, warnings: int
) -> None:
    silent = instance(BodyPartExamined="", ViewPosition="", SeriesDescription="", StudyDescription="", ProtocolName="")
    policy = settings.model_copy(update={"screen": ScreenSettings(unstated=setting)})
    async with running(policy) as service:
        response = await service.client.post("/v1/reports", files={"image": silent})
    assert response.status_code == status
    found = response.json().get("image", {}).get("warnings", [])
    assert sum("is not stated" in warning for warning in found) == warnings


@pytest.mark.parametrize("accept", ["application/json", "text/plain", "text/event-stream"])
async def test_a_warning_stands_in_every_representation(service: Service, accept: str) -> None:
    service.screen.enqueue(MIRRORED)
    response = await service.client.post("/v1/reports", files={"image": PNG}, headers={"Accept": accept})
    assert "may be mirrored" in response.text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_says_what_was_doubted(service: Service, stream: bool) -> None:
    service.screen.enqueue(MIRRORED)
    response = await service.client.post("/v1/chat/completions", json={**_chat(), "stream": stream})
    assert "may be mirrored" in response.text


async def test_tokens_are_those_of_whatever_it_is(service: Service) -> None:
    service.screen.enqueue(CAT)
    response = await service.client.post("/v1/images/tokens", files={"image": PNG})
    assert response.status_code == 200
    assert service.screen.looked == 0


async def test_decisions_are_counted(service: Service) -> None:
    service.screen.enqueue(CAT, MIRRORED)
    for _ in range(3):
        await service.client.post("/v1/reports", files={"image": encoded(gradient(300 + _))})
    text = (await service.client.get("/metrics")).text
    for decision in ("not_a_radiograph", "warned", "accepted"):
        assert f'cxr_inputs_total{{decision="{decision}"}}' in text


async def test_an_administrator_may_switch_it_off_which_the_audit_keeps(settings: Settings) -> None:
    async with running(settings) as service:
        service.screen.enqueue(CAT)
        response = await service.client.post("/v1/reports", files={"image": PNG}, data={"screen": "off"})
        looked = service.screen.looked
        # What was read without a look is not what is answered with one.
        refused = await service.client.post("/v1/reports", files={"image": PNG})
    image = response.json()["image"]
    assert (image["screen"]["decision"], looked) == ("unscreened", 0)
    assert "switched off" in image["warnings"][0]
    assert refused.json()["code"] == "not_a_radiograph"
    assert "screen off" in [event["what"] for event in events_of(settings.state_dir)]


async def test_whoever_is_no_administrator_may_not_switch_it_off(settings: Settings) -> None:
    keys = Keys(settings.keys_file)
    keys.create("admin", (Scope.ADMIN,))
    token = keys.create("client", (Scope.INFER,))
    async with running(settings) as service:
        response = await service.client.post(
            "/v1/reports",
            files={"image": PNG},
            data={"screen": "off"},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert response.status_code == 403
    assert not service.engine.generations


@pytest.mark.parametrize(
    ("sight", "code"),
    [(CAT, "not_a_radiograph"), (Sight(replace(FRONTAL, frontal=0.01, lateral=0.98)), "not_frontal")],
)
async def test_an_image_of_a_study_is_skipped_with_its_reason_and_the_next_one_read(
    settings: Settings, sight: Sight, code: str
) -> None:
    first = parsed(instance())
    study, patient = first.StudyInstanceUID, first.PatientID
    both = [instance(StudyInstanceUID=study, PatientID=patient, ViewPosition=view) for view in ("PA", "AP")]
    async with running(quick(settings), durable=True) as service:
        service.screen.enqueue(sight)
        await stow(service.client, *both)
        job = await finished(service.client, str(first.StudyInstanceUID))
    assert [item["code"] for item in job["skipped"]] == [code]
    assert (job["state"], job["image"]) == ("done", parsed(both[1]).SOPInstanceUID)


async def test_a_warning_about_a_study_s_image_is_in_its_job_and_in_its_documents(settings: Settings) -> None:
    data = instance()
    async with running(quick(settings), durable=True) as service:
        service.screen.enqueue(MIRRORED)
        await stow(service.client, data)
        job = await finished(service.client, str(parsed(data).StudyInstanceUID))
        report = await service.client.get(f"/v1/jobs/{job['id']}/report", headers={"Accept": "application/dicom"})
        fhir = await service.client.get(f"/v1/jobs/{job['id']}/report", headers={"Accept": "application/fhir+json"})
    assert any("may be mirrored" in warning for warning in job["warnings"])
    assert b"may be mirrored" in report.content
    assert "may be mirrored" in json.dumps(fhir.json())
