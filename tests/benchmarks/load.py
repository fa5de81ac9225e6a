"""Load and overload of the real service on the embedded bundle, on loopback and bounded; writes a report.

`python -m tests.benchmarks.load [--minutes 15] [--clients 64] [--out docs/benchmarks]`

1. `clients` mixed clients for `minutes`: latencies by route, errors, private memory of all processes.
2. The peak: as many mixed requests a second as 64 clients without a pause get answered.
3. Overload: ten times the peak arrives for a minute; what is answered, and whether the process lives.
"""

import argparse
import asyncio
import csv
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from PIL import Image

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from integration_support import Running, start  # noqa: E402

from app.bench.machine import machine  # noqa: E402
from app.imaging import read_radiograph  # noqa: E402
from app.sample import sample_dicom  # noqa: E402
from app.settings import ImagingSettings  # noqa: E402
from tests.benchmarks.memory import WARM_MINUTES, Memory  # noqa: E402

DICOM = sample_dicom()
_SIDE = 512
_LEAST_MINUTES = 4
# A drawing takes half a minute among so many: until the first are over, the mix under way holds too few of them, and
# more is answered than can be kept up.
_SETTLING_SECONDS = 60.0
_MEASURED_SECONDS = 90.0
_FACTOR = 10
_NICE = 19
_MIX: tuple[tuple[int, str, dict[str, Any], dict[str, str]], ...] = (
    (6, "/v1/reports", {"image": DICOM}, {}),
    (3, "/v1/answers", {"image": DICOM}, {"question": "Is there pneumonia?"}),
    (2, "/v1/images/generations", {}, {"prompt": "Normal chest radiograph."}),
    (1, "/v1/images/tokens", {"image": DICOM}, {}),
)


def _small() -> bytes:
    """A radiograph as a PNG: ten times the peak in DICOM would measure how fast bytes are copied on loopback."""
    buffer = io.BytesIO()
    grey = read_radiograph(DICOM, ImagingSettings(), _SIDE).pixels
    Image.fromarray(grey).save(buffer, "PNG")
    return buffer.getvalue()


def _bodies() -> list[tuple[int, str, bytes, str]]:
    """Weight, path, body and content type, made once: the client shall cost as little as it can."""
    made = []
    image = _small()
    for weight, path, files, fields in _MIX:
        arguments: dict[str, Any] = {"files": {"image": image}, "data": fields} if files else {"json": fields}
        request = httpx.Request("POST", f"http://host{path}", **arguments)
        made.append((weight, path, request.read(), request.headers["Content-Type"]))
    return made


BODIES = _bodies()


def steady(service: Running, clients: int, minutes: float) -> dict[str, Any]:
    """The first scenario, by locust."""
    memory = Memory(service.process.pid)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py")), "--headless"]
        command += ["-H", service.url, "-u", str(clients), "-r", "8", "-t", f"{round(minutes * 60)}s", "-s", "60"]
        command += ["--csv", f"{folder}/load", "--only-summary", "--exit-code-on-error", "0"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with Path(folder, "load_stats.csv").open() as file:
            rows = list(csv.DictReader(file))
    routes = {
        f"{row['Type']} {row['Name']}".strip(): {
            "requests": int(row["Request Count"]),
            "failures": int(row["Failure Count"]),
            "p50_ms": float(row["50%"]),
            "p95_ms": float(row["95%"]),
            "p99_ms": float(row["99%"]),
        }
        for row in rows
    }
    return {"clients": clients, "minutes": minutes, "routes": routes, "memory": memory.stop()}


async def _one(client: aiohttp.ClientSession, outcomes: Counter[str]) -> None:
    _, path, body, content_type = random.choices(BODIES, [weight for weight, *_ in BODIES])[0]
    try:
        async with client.post(path, data=body, headers={"Content-Type": content_type}) as response:
            await response.read()
            outcomes[str(response.status)] += 1
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        outcomes[type(error).__name__] += 1


def _session(url: str) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=120)
    return aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0), timeout=timeout)


async def peak(url: str, clients: int) -> float:
    """Requests a second that are answered to clients that never pause, once the mix under way has settled."""
    outcomes: Counter[str] = Counter()
    started = time.monotonic()
    counted, since = 0, started

    async def run() -> None:
        while time.monotonic() < started + _SETTLING_SECONDS + _MEASURED_SECONDS:
            await _one(client, outcomes)

    async with _session(url) as client:
        tasks = [asyncio.create_task(run()) for _ in range(clients)]
        await asyncio.sleep(_SETTLING_SECONDS)
        counted, since = outcomes["200"], time.monotonic()
        await asyncio.sleep(_MEASURED_SECONDS)
        answered, elapsed = outcomes["200"] - counted, time.monotonic() - since
        await asyncio.gather(*tasks)
    return answered / elapsed


async def overload(url: str, rate: float) -> dict[str, Any]:
    """Requests arrive at `rate` a second; goodput is what is answered with 200 once the mix under way has settled."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        # A process of its own: a client as busy as this one would measure itself.
        probe = subprocess.Popen([sys.executable, "-c", _PROBE, url, f"{folder}/livez.json"])
        try:
            async with _session(url) as client:
                tasks, started = [], time.monotonic()
                warm, counted, since = started + _SETTLING_SECONDS, 0, started
                while (now := time.monotonic()) < warm + _MEASURED_SECONDS:
                    if now < warm:
                        counted, since = outcomes["200"], now
                    while len(tasks) < (now - started) * rate:
                        tasks.append(asyncio.create_task(_one(client, outcomes)))
                    await asyncio.sleep(0.02)
                sent = len(tasks) / (time.monotonic() - started)
                goodput = (outcomes["200"] - counted) / (time.monotonic() - since)
                await asyncio.gather(*tasks)
        finally:
            probe.terminate()
            probe.wait(30)
        alive = json.loads(Path(folder, "livez.json").read_text())
    return {
        "offered_per_s": round(sent, 1),
        "goodput_per_s": round(goodput, 2),
        "outcomes": dict(outcomes),
        "livez": alive["answers"],
        "livez_slowest_s": round(alive["slowest"], 2),
    }


_PROBE = """
import collections, json, signal, sys, time
import httpx

answers, slowest, over = collections.Counter(), 0.0, []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
with httpx.Client(base_url=sys.argv[1], timeout=10) as client:
    while not over:
        began = time.monotonic()
        try:
            answers[str(client.get("/livez").status_code)] += 1
        except httpx.HTTPError as error:
            answers[type(error).__name__] += 1
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.25)
open(sys.argv[2], "w").write(json.dumps({"answers": answers, "slowest": slowest}))
"""


def main() -> int:
    """Run the three and write the report; 1 where a request failed in another way than it should."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--only-overload", action="store_true", help="take the first scenario from the last report")
    parser.add_argument("--only-steady", action="store_true", help="take the others from the last report")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    given = parser.parse_args()
    if given.minutes < _LEAST_MINUTES:
        parser.error(f"--minutes: a slope needs {_LEAST_MINUTES} at least")
    last = json.loads((given.out / "load.json").read_text()) if given.only_overload or given.only_steady else {}
    with tempfile.TemporaryDirectory() as folder:
        service = start(Path(folder) / "service", CXR_ENGINE__ENFORCE_EAGER="false")
        try:
            calm = last["steady"] if given.only_overload else steady(service, given.clients, given.minutes)
            # The clients stand for other machines, and stand back where they share the service's cores.
            os.nice(_NICE)
            if given.only_steady:
                (before, after), pressed = last["peak_per_s"], last["overload"]
            else:
                before = asyncio.run(peak(service.url, given.clients))
                pressed = asyncio.run(overload(service.url, _FACTOR * before))
                after = asyncio.run(peak(service.url, given.clients))
            status = service.stop()
            if status:
                print(service.log.read_text()[-4000:], file=sys.stderr)
        finally:
            service.process.kill()
    best = max(before, after)
    found = {
        "machine": machine(),
        "steady": calm,
        "peak_per_s": [round(before, 2), round(after, 2)],
        "overload": pressed,
        "goodput_share_of_peak": round(pressed["goodput_per_s"] / best, 3),
        "exit_status": status,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "load.json").write_text(json.dumps(found, indent=1) + "\n")
    (given.out / "load.md").write_text(render(found))
    print(render(found))
    bad = sum(route["failures"] for route in calm["routes"].values())
    alive = set(pressed["livez"]) == {"200"}
    return int(bad > 0 or not alive or status != 0)


def render(found: dict[str, Any]) -> str:
    """The report as Markdown."""
    calm, pressed = found["steady"], found["overload"]
    before, after = found["peak_per_s"]
    lines = [
        "# Load",
        "",
        f"`make load` on {found['machine']}, embedded bundle; clients and service share its cores.",
        "",
        f"## {calm['clients']} mixed clients for {calm['minutes']:g} minutes",
        "",
        "| route | requests | failures | p50 ms | p95 ms | p99 ms |",
        "|---|---|---|---|---|---|",
    ]
    for name, route in calm["routes"].items():
        cells = (route[key] for key in ("requests", "failures", "p50_ms", "p95_ms", "p99_ms"))
        lines.append(f"| {name} | " + " | ".join(f"{cell:g}" for cell in cells) + " |")
    memory = calm["memory"]
    lines += [
        "",
        f"Private memory of all processes, means of {memory['minutes']} minutes after {WARM_MINUTES} of warm-up: "
        f"{memory['warm_mb']} MB in the first, {memory['end_mb']} MB in the last, slope {memory['mb_per_minute']} "
        f"(standard error {memory['standard_error']}) MB a minute.",
        "",
        "## Ten times as much as it can do",
        "",
        f"Images are PNGs of {len(BODIES[0][2]) / 1000:.0f} KB, clients run at nice {_NICE}. The peak, "
        f"{calm['clients']} clients without a pause: {before} requests a second before and {after} after. "
        f"{pressed['offered_per_s']} a second offered: {pressed['goodput_per_s']} answered with 200, "
        f"{found['goodput_share_of_peak']} of the peak. Answers by status: "
        + ", ".join(f"{name} {count}" for name, count in sorted(pressed["outcomes"].items()))
        + f". `/livez`: {pressed['livez']}, slowest {pressed['livez_slowest_s']} s.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
