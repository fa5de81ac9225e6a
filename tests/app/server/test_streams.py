"""Streams over a connection: headers at once, and under deadline and disconnect from their first moment."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.server.run import Server
from app.settings import DrainSettings, Settings
from tests.support.service import Service, encoded, gradient

REQUESTS: dict[str, dict[str, Any]] = {
    "report": {
        "url": "/v1/reports",
        "files": {"image": encoded(gradient())},
        "headers": {"Accept": "text/event-stream"},
    },
    "answers": {
        "url": "/v1/answers",
        "files": {"image": encoded(gradient())},
        "data": {"question": "Is there pneumonia?"},
        "headers": {"Accept": "text/event-stream"},
    },
    "drawings": {"url": "/v1/images/generations", "json": {"prompt": "x", "n": 4, "stream": True}, "headers": {}},
    "chat": {
        "url": "/v1/chat/completions",
        "json": {
            "messages": [{"role": "user", "content": "x"}],
            "modalities": ["text", "image"],
            "stream": True,
        },
        "headers": {},
    },
}
FORM = "multipart/form-data; boundary=a"
EACH = pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)


@pytest.fixture
async def slow(settings: Settings) -> AsyncIterator[Service]:
    """A service whose engine takes longer for its first ids than any test waits."""
    free = settings.model_copy(update={"port": 0})
    service = Service(free)
    service.engine.step_seconds = 30.0
    async with Server(service.app, free).running() as server, httpx.AsyncClient(base_url=server.url) as client:
        await service.app.state.service.lifecycle.settled.wait()
        client.timeout = 20.0
        service.client = client
        yield service


@EACH
async def test_headers_and_a_comment_come_before_the_first_event(slow: Service, request_: dict[str, Any]) -> None:
    began = time.monotonic()
    async with slow.client.stream("POST", **request_) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert (await anext(response.aiter_raw())).startswith(b":")
        assert time.monotonic() - began < 5.0


@pytest.fixture
async def brief(settings: Settings) -> AsyncIterator[tuple[Service, asyncio.Event]]:
    """A slow service whose drain has a second at most; it drains when the event is set."""
    drain = DrainSettings(grace_seconds=0.0, limit_seconds=1.0)
    free = settings.model_copy(update={"port": 0, "drain": drain})
    service, ending = Service(free), asyncio.Event()
    service.engine.step_seconds = 30.0

    async def serve(server: Server) -> None:
        async with server.running():
            listening.set_result(server.url)
            await ending.wait()
            server.lifecycle.drain()

    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(Server(service.app, free)))
    async with httpx.AsyncClient(base_url=await listening, timeout=20.0) as client:
        await service.app.state.service.lifecycle.settled.wait()
        service.client = client
        yield service, ending
        ending.set()
        await serving


@EACH
async def test_a_stream_that_the_end_of_a_drain_cuts_short_says_so(
    brief: tuple[Service, asyncio.Event], request_: dict[str, Any]
) -> None:
    service, ending = brief
    async with service.client.stream("POST", **request_) as response:
        pieces = response.aiter_text()
        assert (await anext(pieces)).startswith(":")
        ending.set()
        left = "".join([piece async for piece in pieces])  # and the stream has its proper end
    assert left.count("event: error") == 1
    assert "The service is shutting down." in left
    assert service.engine.running == 0


async def test_a_request_that_the_end_of_a_drain_cuts_short_is_503(brief: tuple[Service, asyncio.Event]) -> None:
    service, ending = brief
    form, chat = REQUESTS["report"]["files"], {"messages": [{"role": "user", "content": "Draw a normal radiograph."}]}
    asked = [
        asyncio.create_task(service.client.post("/v1/reports", files=form)),
        asyncio.create_task(service.client.post("/v1/images/generations", json={"prompt": "x"})),
        asyncio.create_task(service.client.post("/v1/chat/completions", json=chat)),
        asyncio.create_task(service.client.post("/v1/reports", content=silent(), headers={"Content-Type": FORM})),
    ]
    await asyncio.sleep(0.7)
    assert not any(task.done() for task in asked)
    ending.set()
    for response in await asyncio.gather(*asked):
        body = response.json()
        assert (response.status_code, body.get("error", body)["code"]) == (503, "unavailable")
        assert response.headers["Retry-After"] == "5"
        assert response.headers["X-Request-Id"] == body["request_id"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Connection"] == "close"


async def silent() -> AsyncIterator[bytes]:
    """A body that begins and does not go on."""
    yield b"--a\r\n"
    await asyncio.sleep(3.0)


@EACH
async def test_a_client_that_leaves_before_the_first_event_ends_its_generations(
    slow: Service, request_: dict[str, Any]
) -> None:
    for wait in (0.2, 1.0):
        with pytest.raises(httpx.ReadTimeout):
            async with slow.client.stream("POST", **request_, timeout=wait) as response:
                await response.aread()
        async with asyncio.timeout(3.0):
            while slow.engine.running or slow.app.state.service.guard.limiter.under_way:
                await asyncio.sleep(0.02)


@EACH
async def test_the_deadline_ends_a_stream_without_any_event(slow: Service, request_: dict[str, Any]) -> None:
    for seconds, status in (("0.2", 504), ("1", 200)):
        headers = {**request_["headers"], "X-Request-Timeout": seconds}
        response = await slow.client.post(**{**request_, "headers": headers})
        assert response.status_code == status
        assert "deadline_exceeded" in response.text
