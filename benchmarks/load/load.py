"""Overload and load of the real service on the embedded bundle, on loopback and bounded; writes a report.

`python -m benchmarks.load.load [--minutes 30] [--clients 64] [--out docs/benchmarks]`

1. The peak, as many mixed requests a second as 64 clients without a pause get answered, and overload, ten times the
   peak, in turn: what is answered, and whether the process lives.
2. `clients` mixed clients for `minutes`: latencies by route, errors, private memory of all processes.

Overload comes first, since memory has to be flat after it as well.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.contenders.process import ended_with_us
from benchmarks.load.memory import WARM_MINUTES, Memory
from benchmarks.load.overload import NICE, pressed
from benchmarks.load.overload import render as overload_lines
from benchmarks.machine import machine
from benchmarks.service import Service

_LEAST_MINUTES = 4


def steady(service: Service, clients: int, minutes: float) -> dict[str, Any]:
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


def main() -> int:
    """Run both and write the report; 1 where a request failed in another way than it should."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--only-overload", action="store_true", help="take the rest from the last report")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    given = parser.parse_args()
    if given.minutes < _LEAST_MINUTES:
        parser.error(f"--minutes: a slope needs {_LEAST_MINUTES} at least")
    with ended_with_us(), tempfile.TemporaryDirectory() as folder, Service(Path(folder) / "service") as service:
        with ProcessPoolExecutor(1, get_context("spawn"), os.nice, (NICE,)) as pool:
            overloaded = pool.submit(pressed, service.url, given.clients).result()
        if given.only_overload:
            calm = json.loads((given.out / "load.json").read_text())["steady"]
        else:
            calm = steady(service, given.clients, given.minutes)
        status = service.stop()
        if status:
            print(service.log.read_text()[-4000:], file=sys.stderr)
    found = {"machine": machine(), "overload": overloaded, "steady": calm, "exit_status": status}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "load.json").write_text(json.dumps(found, indent=1) + "\n")
    (given.out / "load.md").write_text(render(found))
    print(render(found))
    bad = sum(route["failures"] for route in calm["routes"].values())
    alive = all(set(one["livez"]) == {"200"} for one in overloaded["overloads"])
    return int(bad > 0 or not alive or status != 0)


def render(found: dict[str, Any]) -> str:
    """The report as Markdown."""
    calm = found["steady"]
    lines = [
        "# Load",
        "",
        f"`make load` on {found['machine']}, embedded bundle; clients and service share its cores.",
        "",
        "## Ten times as much as it can do",
        "",
        *overload_lines(found["overload"], calm["clients"]),
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
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
