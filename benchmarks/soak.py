"""Soak test: studies are posted while the service is killed and its destination is down; none may be lost.

`python -m benchmarks.soak --studies 60 --kills 5 [--database URL]` prints a JSON line per scenario; fails on a loss.
"""

import argparse
import contextlib
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from benchmarks.instances import instance, multipart, parsed
from benchmarks.orthanc import orthanc
from benchmarks.ports import free_port
from benchmarks.service import FakeService

_SENDERS = 4


def _post(service: FakeService, data: bytes, until: float) -> str | None:
    """Post one instance until it is acknowledged, as a PACS does; returns its study's UID then."""
    body, headers = multipart([data])
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            if (
                httpx.post(f"{service.url}/dicom-web/studies", content=body, headers=headers, timeout=10).status_code
                == 200
            ):
                return str(parsed(data).StudyInstanceUID)
        time.sleep(0.1)
    return None


def _killer(service: FakeService, kills: int, span: float, stop: threading.Event) -> None:
    for _ in range(kills):
        if stop.wait(random.uniform(0.3, 1.0) * span / kills):
            return
        service.kill()
        service.start()


@contextlib.contextmanager
def _pacs(folder: Path, port: int) -> Iterator[Any]:
    with orthanc(folder, port=port) as running:
        yield running


def soak(folder: Path, studies: int, kills: int, down_seconds: float = 0.0, **settings: Any) -> dict[str, Any]:
    """One scenario; returns what it counted. Raises AssertionError on a loss or a duplicate."""
    port = free_port()
    destination = [{"name": "pacs", "dicomweb_url": f"http://127.0.0.1:{port}/dicom-web", "timeout_seconds": 5}]
    service = FakeService(folder / "service", CXR_DESTINATIONS=json.dumps(destination), **settings)
    images = [instance() for _ in range(studies)]
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        if not down_seconds:
            pacs = stack.enter_context(_pacs(folder / "orthanc", port))
        stack.enter_context(service)
        stop = threading.Event()
        killer = threading.Thread(target=_killer, args=(service, kills, studies * 0.25, stop))
        killer.start()
        with ThreadPoolExecutor(_SENDERS) as senders:
            until = time.monotonic() + 300.0
            acknowledged = {uid for uid in senders.map(lambda data: _post(service, data, until), images) if uid}
        killer.join()
        if down_seconds:
            time.sleep(max(0.0, down_seconds - (time.monotonic() - started)))
            pacs = stack.enter_context(_pacs(folder / "orthanc", port))
        until = time.monotonic() + 240.0
        reports: Counter[str] = Counter()
        states: Counter[str] = Counter()
        while time.monotonic() < until:
            states = Counter(job["state"] for job in service.jobs()["data"])
            if states.get("done", 0) >= len(acknowledged):
                break
            time.sleep(0.5)
        for report in pacs.reports():
            series = pacs.get(f"/series/{report['parent']}")
            reports[pacs.get(f"/studies/{series['ParentStudy']}")["MainDicomTags"]["StudyInstanceUID"]] += 1
    lost = [uid for uid in acknowledged if not reports[uid]]
    result = {
        "studies": studies,
        "kills": kills,
        "down_seconds": down_seconds,
        "acknowledged": len(acknowledged),
        "reports": sum(reports.values()),
        "lost": len(lost),
        "duplicates": sum(count - 1 for count in reports.values() if count > 1),
        "states": dict(states),
        "seconds": round(time.monotonic() - started, 1),
    }
    assert len(acknowledged) == studies, result
    assert not lost, result
    assert not result["duplicates"], result
    return result


def main() -> int:
    """Run the scenarios in full."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--down", type=float, default=60.0, help="seconds without a destination")
    parser.add_argument("--database", help="PostgreSQL URL for one more round")
    wanted = parser.parse_args()
    rounds: list[tuple[str, dict[str, Any]]] = [("sqlite", {}), ("destination down", {"down_seconds": wanted.down})]
    if wanted.database:
        rounds.append(("postgresql", {"CXR_DATABASE_URL": wanted.database}))
    for name, extra in rounds:
        with tempfile.TemporaryDirectory() as folder:
            print(name, json.dumps(soak(Path(folder), wanted.studies, wanted.kills, **extra)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
