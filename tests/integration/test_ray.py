"""Engine and codec in a Ray cluster of two nodes of this machine, on fakes; the gateway is `cxr serve`."""

import asyncio
import base64
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from benchmarks.ports import free_port
from tests.support.service import ROOT, encoded, gradient

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed (extra `ray`)"),
]

STEP_SECONDS = 0.1
DRAWING = {"prompt": "Normal chest radiograph.", "seed": 1}
TOKEN = "a token that nobody else has, for this test alone"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two nodes, two engines, a codec: the environment of those who join."""
    folder = tmp_path_factory.mktemp("cluster")
    environment = {
        **os.environ,
        "CXR_STATE_DIR": str(folder),
        "CXR_SCALE__ENGINES": "2",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
    }
    command = [sys.executable, "-m", "tests.support.ray_cluster", json.dumps({"step_seconds": STEP_SECONDS})]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = next((line.split()[1] for line in process.stdout if line.startswith("address ")), None)
        log_text = (folder / "log").read_text()
        if address is None and "timed out during startup" in log_text:
            pytest.skip("Ray's fixed waits of its start are too short for this machine as busy as it is")
        assert address is not None, log_text[-3000:]
        yield {"CXR_SCALE__ADDRESS": address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    finally:
        process.stdin.close()
        process.wait(120)
        process.stdout.close()


@pytest.fixture
async def gateway(cluster: dict[str, str], tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The service as a process, ready."""
    port = free_port()
    settings = {
        "CXR_SCALE__BACKEND": "ray",
        **cluster,
        "CXR_STATE_DIR": str(tmp_path / "state"),
        "CXR_SCREEN__NOT_CHEST": "off",
        "CXR_SCREEN__LATERAL": "off",
    }
    log = (tmp_path / "gateway.log").open("wb")
    command = [sys.executable, "-m", "app.cli", "serve", "--port", str(port)]
    with log, subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60.0) as client:
            await ready(client)
            yield client
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (tmp_path / "gateway.log").read_text()[-3000:]


async def ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(120):
        while True:
            try:
                if (await client.get("/readyz")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)


def replicas(name: str) -> list[psutil.Process]:
    """The processes of a deployment's replicas, as Ray names them."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if "ServeReplica" in line and name in line:
            found.append(process)
    return found


async def draw(client: httpx.AsyncClient, **options: Any) -> httpx.Response:
    return await client.post("/v1/images/generations", json={**DRAWING, **options})


async def test_it_draws_reads_and_streams_and_a_seed_draws_the_same(gateway: httpx.AsyncClient) -> None:
    first, second = await draw(gateway), await draw(gateway)
    assert first.status_code == second.status_code == 200
    images = [base64.b64decode(answer.json()["data"][0]["b64_json"]) for answer in (first, second)]
    assert np.array_equal(*(np.asarray(Image.open(io.BytesIO(image))) for image in images))
    report = await gateway.post("/v1/reports", files={"image": ("a.png", encoded(gradient()))})
    assert report.status_code == 200, report.text
    assert "The lungs are clear." in report.text
    events = await gateway.post("/v1/images/generations", json={**DRAWING, "stream": True, "partial_images": 2})
    assert events.status_code == 200
    assert events.text.count("event: image_generation.partial_image") == 2


async def test_a_replica_that_dies_ends_what_it_had_given_in_words_and_the_service_lives_on(
    gateway: httpx.AsyncClient,
) -> None:
    drawings = [asyncio.create_task(draw(gateway, seed=seed)) for seed in range(4)]
    await asyncio.sleep(0.5)
    victims = replicas("Engine")
    assert len(victims) == 2
    os.kill(victims[0].pid, signal.SIGKILL)
    answers = await asyncio.gather(*drawings)
    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    for answer in answers:
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            assert answer.json()["error"]["code"] == "unavailable"
            assert int(answer.headers["retry-after"]) > 0
    assert [(await draw(gateway, seed=seed)).status_code for seed in range(4)] == [200] * 4
    assert (await gateway.get("/livez")).status_code == 200


async def test_a_client_that_leaves_does_not_disturb_the_next(gateway: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await gateway.post("/v1/images/generations", json=DRAWING, timeout=0.5)
    assert (await draw(gateway)).status_code == 200


async def test_a_request_out_of_bounds_is_the_client_s_fault_there_too(gateway: httpx.AsyncClient) -> None:
    answer = await draw(gateway, prompt="pneumonia " * 3_000)
    assert answer.status_code in {400, 413, 422}
    assert answer.headers["content-type"].startswith("application/")
