"""Reports and answers as they are written; what a stream does when something goes wrong."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from app.api.http import sse
from app.errors import EngineDead, Overloaded, WorkerFailed
from tests.support.service import Service, encoded, gradient

IMAGE = encoded(gradient())
STREAM = {"Accept": "text/event-stream"}


def events(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [block.splitlines() for block in response.text.split("\n\n") if block and not block.startswith(":")]
    return [json.loads(line[6:]) for block in blocks for line in block if line.startswith("data: ")]


async def test_a_report_streams_its_words_and_ends_with_the_whole(service: Service) -> None:
    service.engine.chunk = 3
    response = await service.client.post("/v1/reports", files={"image": IMAGE}, data={"seed": "1"}, headers=STREAM)
    *deltas, last = events(response)
    assert {event["type"] for event in deltas} == {"report.delta"}
    assert len(deltas) > 3
    assert "".join(event["delta"] for event in deltas) == last["report"]["text"] == "The lungs are clear."
    assert last["type"] == "report.completed"
    assert last["timings"]["first_token"] >= 0


async def test_answers_stream_side_by_side(service: Service) -> None:
    service.engine.chunk = 3
    data = {"question": ["a?", "b?"]}
    response = await service.client.post("/v1/answers", files={"image": IMAGE}, data=data, headers=STREAM)
    *deltas, last = events(response)
    for index in (0, 1):
        words = "".join(event["delta"] for event in deltas if event["index"] == index)
        assert words == last["answers"][index]["answer"]


async def test_characters_of_several_tokens_are_streamed_whole(service: Service) -> None:
    service.engine.text, service.engine.chunk = "  Größe 5 µm → klein  ", 1
    response = await service.client.post("/v1/reports", files={"image": IMAGE}, headers=STREAM)
    *deltas, last = events(response)
    assert all("\ufffd" not in event["delta"] for event in deltas)
    assert "".join(event["delta"] for event in deltas) == last["report"]["text"] == "Größe 5 µm → klein"


async def test_what_fails_before_the_first_word_is_an_ordinary_error(service: Service) -> None:
    bad = await service.client.post("/v1/reports", files={"image": b"nothing"}, headers=STREAM)
    assert (bad.status_code, bad.json()["code"]) == (415, "not_an_image")
    service.engine.enqueue_failure(Overloaded("full"))
    busy = await service.client.post("/v1/reports", files={"image": IMAGE}, headers=STREAM)
    assert busy.status_code == 429


async def test_what_fails_later_is_an_error_event(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = service.engine.generate

    async def breaking(generation: Any) -> Any:
        async for delta in whole(generation):
            yield delta
            raise WorkerFailed("it broke")

    service.engine.chunk = 4
    monkeypatch.setattr(service.engine, "generate", breaking)
    response = await service.client.post("/v1/reports", files={"image": IMAGE}, headers=STREAM)
    found = events(response)
    assert found[0]["type"] == "report.delta"
    assert (found[-1]["code"], found[-1]["status"]) == ("worker_failed", 500)
    drawn = await service.client.post(
        "/v1/images/generations", json={"prompt": "x", "stream": True, "partial_images": 3}
    )
    assert drawn.status_code == 500
    assert drawn.json()["error"]["code"] == "worker_failed"


async def test_a_slow_stream_is_kept_open_and_ends_at_its_deadline(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "_KEEP_ALIVE_SECONDS", 0.05)
    monkeypatch.setattr(sse, "_HEADERS_SECONDS", 0.05)
    service.engine.step_seconds = 0.3
    response = await service.client.post(
        "/v1/reports", files={"image": IMAGE}, headers={**STREAM, "X-Request-Timeout": "0.2"}
    )
    assert ": ping" in response.text
    assert events(response)[-1]["code"] == "deadline_exceeded"
    assert service.engine.running == 0


async def test_an_engine_that_dies_under_a_stream_fails_the_service(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = service.engine.generate

    async def dying(generation: Any) -> Any:
        async for delta in whole(generation):
            yield delta
            raise EngineDead("gone")

    monkeypatch.setattr(service.engine, "generate", dying)
    service.engine.chunk = 4
    await service.client.post("/v1/reports", files={"image": IMAGE}, headers=STREAM)
    assert service.app.state.service.lifecycle.failed.is_set()


async def test_a_second_question_about_an_image_does_not_read_it_again(service: Service) -> None:
    for question in ("a?", "b?"):
        await service.client.post("/v1/answers", files={"image": IMAGE}, data={"question": question})
    assert service.codec.encoded == 1
    await service.client.post("/v1/reports", files={"image": encoded(gradient(200, 210))})
    assert service.codec.encoded == 2


async def test_a_preview_is_a_pgm_with_its_window(service: Service) -> None:
    from app.dicom.sample import sample_dicom

    response = await service.client.post("/v1/images/preview", files={"image": sample_dicom()})
    assert response.headers["content-type"] == "image/x-portable-graymap"
    head, _, body = response.content.partition(b"\n65535\n")
    width, height = (int(value) for value in head.splitlines()[-1].split())
    assert len(body) == 2 * width * height
    assert [line.split()[1] for line in head.splitlines()[1:4]] == [b"range", b"window", b"inverse"]
    assert (await service.client.post("/v1/images/preview", files={"image": b"x"})).status_code == 415
    await asyncio.sleep(0)
