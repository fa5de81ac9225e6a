"""Engine and codec in a Ray cluster of two nodes of this machine, on fakes; the gateway is `cxr serve`."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.ports import free_port

ray = pytest.importorskip("ray", reason="Ray is not installed (extra `ray`)")
pytestmark = pytest.mark.slow

STEP_SECONDS = 0.1
DRAWING = {"prompt": "Normal chest radiograph.", "seed": 1}
TOKEN = "a token that nobody else has, for this test alone"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes, two engines, a codec."""
    state = tmp_path_factory.mktemp("replicas")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXR_STATE_DIR", str(state))
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", TOKEN)
        from ray import serve
        from ray.cluster_utils import Cluster

        import app.scale.application as application

        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        nodes.add_node(num_cpus=2)
        ray.init(address=nodes.address, namespace="cxr", logging_level="ERROR", log_to_driver=False)
        patch.setenv("CXR_SCALE__ENGINES", "2")
        fake = {"step_seconds": STEP_SECONDS}
        engines = application.engine(application.EngineArguments(fake=fake, num_gpus=0.0, num_cpus=0.2))
        serve.run(engines, name="cxr-engine", route_prefix=None)
        codecs = application.codec(application.CodecArguments(fake=True, num_cpus=0.1))
        serve.run(codecs, name="cxr-codec", route_prefix=None)
        try:
            yield nodes
        finally:
            serve.shutdown()
            ray.shutdown()
            nodes.shutdown()


@pytest.fixture
async def gateway(cluster: Any, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The service as a process, ready."""
    port = free_port()
    settings = {
        "CXR_SCALE__BACKEND": "ray",
        "CXR_SCALE__ADDRESS": cluster.address,
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
        assert process.wait(60) == 0


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
    assert first.json()["data"][0]["codes"] == second.json()["data"][0]["codes"] if "codes" in first.json() else True
    image = base64.b64decode(first.json()["data"][0]["b64_json"])
    report = await gateway.post("/v1/reports", files={"image": ("a.png", image)})
    assert report.status_code == 200, report.text
    assert report.json()["text"] == "The lungs are clear."
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
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
    assert [(await draw(gateway, seed=seed)).status_code for seed in range(4)] == [200] * 4
    assert (await gateway.get("/livez")).status_code == 200


async def test_a_client_that_leaves_frees_the_engine(gateway: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await gateway.post("/v1/images/generations", json=DRAWING, timeout=0.5)
    started = time.monotonic()
    assert (await draw(gateway)).status_code == 200
    assert time.monotonic() - started < 30


async def test_a_request_out_of_bounds_is_the_client_s_fault_there_too(gateway: httpx.AsyncClient) -> None:
    answer = await draw(gateway, prompt="pneumonia " * 3_000)
    assert answer.status_code in {400, 413, 422}
    assert answer.headers["content-type"].startswith("application/")
