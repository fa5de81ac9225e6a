"""A node is replaced under load: the old one drains, the new one takes over the same state; nothing fails, nothing is
lost. The client behaves as it is told to: it opens connections to ready nodes, and comes again after a 503.
"""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.postgres import postgresql
from tests.support.process import ServiceProcess
from tests.support.service import encoded, gradient
from tests.support.studies import instance, multipart, parsed

IMAGE = encoded(gradient())


class Balancer:
    """Sends each request to a ready node; counts what did not work in the end."""

    def __init__(self, nodes: list[ServiceProcess]) -> None:
        self.nodes = nodes
        self.failed: list[str] = []
        self.served = 0
        self.again = 0
        self.studies: set[str] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()

    def _ready(self) -> list[str]:
        urls = []
        for node in [*self.nodes]:
            try:
                if httpx.get(f"{node.url}/readyz", timeout=5).status_code == 200:
                    urls.append(node.url)
            except httpx.HTTPError:
                pass
        return urls

    def _send(self) -> None:
        request = random.choice(("report", "draw", "study"))
        data = instance()
        until = time.monotonic() + 30
        while time.monotonic() < until:
            urls = self._ready()
            if not urls:
                time.sleep(0.05)
                continue
            url = random.choice(urls)
            try:
                if request == "report":
                    response = httpx.post(f"{url}/v1/reports", files={"image": IMAGE}, timeout=30)
                elif request == "draw":
                    response = httpx.post(f"{url}/v1/images/generations", json={"prompt": "x"}, timeout=30)
                else:
                    body, headers = multipart([data])
                    response = httpx.post(f"{url}/dicom-web/studies", content=body, headers=headers, timeout=30)
            except httpx.ConnectError:
                with self._lock:
                    self.again += 1
                continue
            except httpx.HTTPError as error:
                self.failed.append(f"{request}: {error!r}")
                return
            if response.status_code == 503 and "Retry-After" in response.headers:
                with self._lock:
                    self.again += 1
                continue
            with self._lock:
                self.served += 1
                if response.status_code != 200:
                    self.failed.append(f"{request}: {response.status_code} {response.text}")
                elif request == "study":
                    self.studies.add(str(parsed(data).StudyInstanceUID))
            return
        self.failed.append(f"{request}: no node for 30 s")

    def _run(self) -> None:
        while not self._over.is_set():
            self._send()

    @contextmanager
    def load(self, clients: int) -> Iterator[None]:
        """Send from several clients while the block runs."""
        threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()


def _roll(folder: Path, **settings: str) -> None:
    common = {"CXR_DRAIN__GRACE_SECONDS": "1.5", **settings}
    nodes = [ServiceProcess(folder, step_seconds=0.01, CXR_NODE=f"node-{number}", **common) for number in range(3)]
    with ExitStack() as stack:
        for node in nodes:
            stack.push(node)
        _replace_in_turn(nodes)


def _replace_in_turn(nodes: list[ServiceProcess]) -> None:
    old = nodes[0].start()
    balancer = Balancer([old])
    with balancer.load(4):
        time.sleep(1.0)
        for new in nodes[1:]:
            new.start()
            balancer.nodes.append(new)
            time.sleep(0.5)
            assert old.stop() == 0
            balancer.nodes.remove(old)
            old = new
            time.sleep(1.0)
    assert balancer.failed == []
    assert balancer.served > 10  # how many is a matter of the machine
    assert len(balancer.studies) > 1
    until = time.monotonic() + 60
    while old.jobs(state="done")["total"] < len(balancer.studies) and time.monotonic() < until:
        time.sleep(0.2)
    finished = {job["study_instance_uid"] for job in old.jobs(state="done")["data"]}
    assert balancer.studies <= finished
    assert old.stop() == 0


def test_rolling_over_one_state_folder_fails_no_request_and_loses_no_study(tmp_path: Path) -> None:
    _roll(tmp_path)


@pytest.mark.slow
def test_rolling_over_postgresql_fails_no_request_and_loses_no_study(tmp_path: Path) -> None:
    with postgresql() as url:
        _roll(tmp_path / "service", CXR_DATABASE_URL=url)


def test_a_node_ends_although_its_database_is_gone(tmp_path: Path) -> None:
    with ExitStack() as stack:
        with postgresql() as url:
            node = stack.enter_context(ServiceProcess(tmp_path / "service", step_seconds=0.2, CXR_DATABASE_URL=url))
            for _ in range(8):
                body, headers = multipart([instance()])
                httpx.post(f"{node.url}/dicom-web/studies", content=body, headers=headers, timeout=30)
            until = time.monotonic() + 30
            while not node.jobs(state="running")["total"] and time.monotonic() < until:
                time.sleep(0.05)
        assert node.stop() == 0
