"""The benchmarks' client against the application on fakes."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from app.settings import Settings
from benchmarks.clients.http import Body, Client
from benchmarks.scenarios.reports import radiographs
from benchmarks.scenarios.studies import stow
from tests.support.service import encoded, gradient, running


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running(Settings(state_dir=tmp_path), durable=True) as service:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(service.app, lifespan="off", log_config=None))
            task = asyncio.create_task(server.serve([listening]))
            async with Client(f"http://127.0.0.1:{listening.getsockname()[1]}") as made:
                yield made
            server.should_exit = True
            await task


async def test_bodies_are_what_the_service_takes(client: Client) -> None:
    answers = json.loads(await client.post(Body.from_image("/v1/answers", encoded(gradient()), question="Why?")))
    assert answers["answers"][0]["question"] == "Why?"
    drawn = await client.post(Body.from_json("/v1/images/generations", {"prompt": "Normal.", "seed": 1}))
    assert json.loads(drawn)["data"]
    stored = json.loads(await client.post(stow(radiographs(2, 1))))
    assert len(stored["00081199"]["Value"]) == 2


async def test_events_come_with_their_times(client: Client) -> None:
    body = Body.from_json("/v1/images/generations", {"prompt": "x", "seed": 1, "stream": True, "partial_images": 2})
    events = await client.events(body)
    assert events[-1][1]["type"] == "image_generation.completed"
    assert [at for at, _ in events] == sorted(at for at, _ in events)


async def test_an_answer_that_is_no_200_is_an_error(client: Client) -> None:
    with pytest.raises(RuntimeError, match="415"):
        await client.post(Body.from_image("/v1/reports", b"no image"))
