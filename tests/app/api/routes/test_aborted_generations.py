"""A generation that the engine ends before its end is an error on every path: half a report is none."""

import asyncio
import base64
import json
from typing import Any

import pytest

from app.settings import Settings
from tests.support.service import Service, encoded, gradient, running
from tests.support.studies import finished, instance, parsed, quick, stow

IMAGE = {"image": encoded(gradient())}
URL = f"data:image/png;base64,{base64.b64encode(IMAGE['image']).decode()}"
CHAT = [{"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": URL}}]}]
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/reports", {"files": IMAGE}),
    ("/v1/answers", {"files": IMAGE, "data": {"question": "Is there an effusion?"}}),
    ("/v1/images/generations", {"json": {"prompt": "Normal."}}),
    ("/v1/images/generations", {"json": {"prompt": "Normal.", "n": 3}}),
    ("/v1/images/edits", {"files": IMAGE, "data": {"prompt": "Normal."}}),
    ("/v1/chat/completions", {"json": {"messages": CHAT}}),
    ("/v1/chat/completions", {"json": {"messages": [{"role": "user", "content": "Draw"}], "modalities": ["image"]}}),
]
STREAMED: list[tuple[str, dict[str, Any]]] = [
    ("/v1/images/generations", {"json": {"prompt": "Normal.", "stream": True}}),
    ("/v1/chat/completions", {"json": {"messages": CHAT, "stream": True}}),
]


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize(("path", "body"), REQUESTS)
async def test_it_is_503_and_nothing_of_it_is_given(
    service: Service, path: str, body: dict[str, Any], after: int
) -> None:
    service.engine.aborts_after, service.engine.chunk = after, 4
    response = await service.client.post(path, **body)
    assert response.status_code == 503
    assert "generation_aborted" in response.text
    assert int(response.headers["Retry-After"]) > 0
    service.engine.aborts_after = None
    assert (await service.client.post(path, **body)).status_code == 200


@pytest.mark.parametrize(("path", "body"), STREAMED)
async def test_a_stream_ends_with_an_error_event(service: Service, path: str, body: dict[str, Any]) -> None:
    service.engine.aborts_after, service.engine.chunk = 2, 4
    response = await service.client.post(path, **body)
    events = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
    # Before the first event it is an ordinary error.
    assert json.loads(events[-1] if events else response.text)["error"]["code"] == "generation_aborted"
    assert "[DONE]" not in response.text
    assert not any("finish_reason" in event and '"finish_reason":null' not in event for event in events)


async def test_a_studys_step_is_repeated(settings: Settings) -> None:
    async with running(quick(settings), durable=True) as service:
        service.engine.aborts_after, service.engine.chunk = 1, 4
        data = instance()
        study = str(parsed(data).StudyInstanceUID)
        await stow(service.client, data)
        await asyncio.sleep(1.5)
        (job,) = (await service.client.get("/v1/jobs", params={"study": study})).json()["data"]
        assert job["state"] == "running"
        service.engine.aborts_after = None
        done = await finished(service.client, study)
        assert (done["state"], done["report"]["text"]) == ("done", service.engine.text)


async def test_a_report_that_reached_its_longest_length_says_so(settings: Settings) -> None:
    async with running(quick(settings), durable=True) as service:
        service.engine.text = "The lungs are clear. " * 200
        data = instance()
        await stow(service.client, data)
        job = await finished(service.client, str(parsed(data).StudyInstanceUID))
        assert any("cut" in warning for warning in job["warnings"])
        text = (await service.client.get(f"/v1/jobs/{job['id']}/report")).text
        assert text.startswith("WARNING: The report was cut")
