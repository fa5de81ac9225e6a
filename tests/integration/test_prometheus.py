"""Debian's Prometheus scrapes a running service with the shipped configuration, alerts included."""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.security.identity import Scope
from app.security.keys import Keys
from tests.support.orthanc import free_port
from tests.support.process import ServiceProcess
from tests.support.service import ROOT, encoded, gradient

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed: make peers")
FOLDER = ROOT / "deploy" / "prometheus"


def configured(folder: Path, target: str, key: str) -> Path:
    """The shipped configuration with another target, a key and a shorter interval."""
    shutil.copy(FOLDER / "alerts.yml", folder)
    (folder / "cxr.key").write_text(key)
    content = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    content["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = content["scrape_configs"]
    job["static_configs"] = [{"targets": [target]}]
    job["authorization"] = {"credentials_file": str(folder / "cxr.key")}
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(content))
    return path


def asked(url: str, query: str, seconds: float = 30.0) -> list[dict[str, Any]]:
    """The result of a query, as soon as there is one."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            found = httpx.get(f"{url}/api/v1/query", params={"query": query}, timeout=5).json()["data"]["result"]
        except (httpx.HTTPError, ValueError):
            found = []
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"no result for {query}")


def test_prometheus_scrapes_the_service_with_a_key_of_its_scope(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "service")
    keys = Keys(service.state / "keys.json")
    key = keys.create("prometheus", (Scope.METRICS,))
    reader = keys.create("reader", (Scope.INFER,))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = configured(tmp_path, f"127.0.0.1:{service.port}", key)
    with service, (tmp_path / "prometheus.log").open("wb") as log:
        headers = {"Authorization": f"Bearer {reader}"}
        report = httpx.post(f"{service.url}/v1/reports", files={"image": encoded(gradient())}, headers=headers)
        assert report.status_code == 200
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}"]
        started = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=1h"],
            stdout=log,
            stderr=log,
        )
        try:
            (up,) = asked(url, 'up{job="llm-cxr"} == 1')
            assert up["metric"]["instance"] == f"127.0.0.1:{service.port}"
            (requests,) = asked(url, 'cxr_http_requests_total{route="/v1/reports",status="200",task="report"}')
            assert float(requests["value"][1]) == 1.0
            assert asked(url, "cxr_ready == 1")
            groups = httpx.get(f"{url}/api/v1/rules", timeout=5).json()["data"]["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            assert rules
            assert all(rule.get("lastError", "") == "" for rule in rules)
        finally:
            started.terminate()
            started.wait(30)
