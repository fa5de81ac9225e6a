"""Streams over a connection: headers at once, and under deadline and disconnect from their first moment."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.server.run import Server
from app.settings import Settings
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
