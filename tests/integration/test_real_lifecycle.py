"""What ends a real service, and how."""

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from app.server.run import FAILED_STATUS
from tests.support.served import Running, start

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def _engine(service: Running) -> psutil.Process:
    children = psutil.Process(service.process.pid).children(recursive=True)
    return next(
        child for child in children if "EngineCore" in child.name() or "EngineCore" in " ".join(child.cmdline())
    )


def test_killing_the_engine_ends_readiness_and_the_process(tmp_path: Path) -> None:
    service = start(tmp_path)
    os.kill(_engine(service).pid, signal.SIGKILL)
    killed = time.monotonic()
    told: list[httpx.Response] = []
    with httpx.Client(base_url=service.url, timeout=5.0) as client:
        while time.monotonic() < killed + 5:
            try:
                drawn = client.post("/v1/images/generations", json={"prompt": "Normal."})
                told += [drawn] if drawn.status_code != 200 else []
                if client.get("/readyz").status_code == 503:
                    break
            except httpx.TransportError:
                break
            time.sleep(0.1)
    assert time.monotonic() - killed < 5
    assert service.process.wait(60) == FAILED_STATUS
    assert all(answer.status_code == 503 and "Retry-After" in answer.headers for answer in told)
    again = start(tmp_path / "again", state=service.state)
    drawn = httpx.post(f"{again.url}/v1/images/generations", json={"prompt": "Normal."}, timeout=60)
    assert drawn.status_code == 200
    assert again.stop() == 0


def _draw(service: Running, seconds: float = 60.0) -> httpx.Response:
    prompt = {"prompt": "Normal.", "n": 2}
    return httpx.post(f"{service.url}/v1/images/generations", json=prompt, timeout=seconds)


def test_an_engine_that_was_stopped_for_a_while_serves_the_next_request(tmp_path: Path) -> None:
    service = start(tmp_path, CXR_LIMITS__DEADLINE_SECONDS="8")
    engine = _engine(service)
    with ThreadPoolExecutor(4) as pool:
        held = [pool.submit(_draw, service) for _ in range(4)]
        time.sleep(0.5)
        engine.suspend()
        assert [answer.result().status_code for answer in held] == [504] * 4
    assert httpx.get(f"{service.url}/readyz", timeout=30).status_code == 503
    engine.resume()
    assert _draw(service).status_code == 200
    time.sleep(3.0)  # longer than a probe's outcome is taken to be fresh
    assert httpx.get(f"{service.url}/readyz", timeout=30).status_code == 200
    assert service.stop() == 0


def test_an_engine_that_hangs_ends_the_process(tmp_path: Path) -> None:
    service = start(tmp_path, CXR_ENGINE__PROBE_SECONDS="2", CXR_ENGINE__MAX_FAILED_PROBES="3")
    engine = _engine(service)
    engine.suspend()
    time.sleep(3.0)  # as above
    assert httpx.get(f"{service.url}/readyz", timeout=30).status_code == 503
    assert service.process.wait(90) == FAILED_STATUS
    assert not engine.is_running()


def test_an_interrupt_from_the_terminal_lets_a_drawing_finish(tmp_path: Path) -> None:
    service = start(tmp_path)
    engine = _engine(service)
    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(
            httpx.post, f"{service.url}/v1/images/generations", json={"prompt": "Normal."}, timeout=60
        )
        time.sleep(1.0)
        for process in (engine, service.process):  # a terminal interrupts every process of its group
            process.send_signal(signal.SIGINT)
        assert drawing.result().status_code == 200
    assert service.process.wait(60) == 0


def test_killing_the_gateway_leaves_no_process_behind(tmp_path: Path) -> None:
    service = start(tmp_path)
    left = [_engine(service), *psutil.Process(service.process.pid).children(recursive=True)]
    service.process.kill()
    service.process.wait()
    _, alive = psutil.wait_procs(left, timeout=15)
    for process in alive:
        process.kill()
    assert alive == []


def test_a_bundle_that_does_not_verify_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_text("{}")
    with pytest.raises(RuntimeError, match=r"bundle\.json"):
        start(tmp_path / "run", CXR_BUNDLE=str(tmp_path / "bundle"))
    assert not subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False).stdout
