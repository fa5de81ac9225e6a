"""What hostile inputs cost the gateway: its processor, its memory, its time to answer `/livez`, and what it answers.

`python -m benchmarks.attacks [--group http|dicom] [--write] [--only WORD]`: starts the service on fakes of engine and
codec with the real decoders, sends one attack after the other, and prints a table of each group, or puts it between
the marks of its page. Exits with 1 where one costs more than its group may.
"""

import argparse
import datetime
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.attack_dicomweb import DICOMWEB_ATTACKS
from benchmarks.attack_dimse import DIMSE_ATTACKS
from benchmarks.attack_http import HTTP_ATTACKS
from benchmarks.attack_target import Attack, Target
from benchmarks.contenders.process import ended_with_us
from benchmarks.ports import free_port
from benchmarks.service import FakeService

_MARKS = ("<!-- attacks: begin -->", "<!-- attacks: end -->")
_HEAD = (
    "| input | sent | processor a request | gateway | seconds | `/livez` | answer |\n|---|---|---|---|---|---|---|\n"
)
_LIVEZ_EVERY = 0.02


@dataclass(frozen=True)
class Group:
    """Attacks, the page that tells of them, and the most MB and seconds of `/livez` that one may cost."""

    page: str
    attacks: tuple[Attack, ...]
    most_mb: float
    most_livez_seconds: float


GROUPS = {
    "http": Group("docs/operations.md", HTTP_ATTACKS, 100.0, 0.5),
    "dicom": Group("docs/security.md", (*DICOMWEB_ATTACKS, *DIMSE_ATTACKS), 200.0, 1.0),
}


@dataclass(frozen=True)
class Cost:
    """What one attack did: MB sent, milliseconds of the gateway's processor a request, MB that the gateway grew by at
    its peak, seconds, longest `/livez`, the answer.
    """

    attack: Attack
    sent_mb: float
    processor_ms: float
    grown_mb: float
    seconds: float
    livez_seconds: float
    answer: str

    def too_much(self, group: Group) -> bool:
        """Whether it cost more than any may."""
        return self.grown_mb > group.most_mb or self.livez_seconds > group.most_livez_seconds

    def row(self) -> str:
        """It as a row of the table."""
        costs = f"{self.sent_mb:.1f} MB | {self.processor_ms:.1f} ms | +{self.grown_mb:.0f} MB"
        return f"| {self.attack.what} | {costs} | {self.seconds:.1f} | {self.livez_seconds:.2f} s | {self.answer} |"


class Watch:
    """Samples a process's resident memory and its `/livez` while a block runs."""

    def __init__(self, service: FakeService) -> None:
        self._status = Path(f"/proc/{service.process.pid}/status")
        self._url = f"{service.url}/livez"
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._memory), threading.Thread(target=self._livez)]
        self.first_mb = self.peak_mb = self._resident()
        self.livez_seconds = 0.0
        self.livez_calls = 0

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _resident(self) -> float:
        lines = self._status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000.0

    def _memory(self) -> None:
        while not self._over.wait(0.01):
            self.peak_mb = max(self.peak_mb, self._resident())

    def _livez(self) -> None:
        with httpx.Client(timeout=60.0, trust_env=False) as client:
            while not self._over.wait(_LIVEZ_EVERY):
                self.livez_calls += 1
                started = time.perf_counter()
                client.get(self._url)
                self.livez_seconds = max(self.livez_seconds, time.perf_counter() - started)


def _livez_cost(service: FakeService) -> float:
    """Processor seconds of one `/livez`, and of what goes on meanwhile."""
    before = service.cpu_seconds()
    with Watch(service) as watch:
        time.sleep(5.0)
    return (service.cpu_seconds() - before) / watch.livez_calls


def _measured(service: FakeService, target: Target, attack: Attack, livez_cost: float) -> Cost:
    target.sent = 0
    send = attack.prepare()
    before = service.cpu_seconds()
    with Watch(service) as watch:
        started = time.perf_counter()
        answer = send(target)
        seconds = time.perf_counter() - started
        time.sleep(0.5)
    processor = service.cpu_seconds() - before - watch.livez_calls * livez_cost
    grown = watch.peak_mb - watch.first_mb
    each = max(0.0, processor) * 1000.0 / attack.requests
    return Cost(attack, target.sent / 1e6, each, grown, seconds, watch.livez_seconds, answer)


def _put(page: Path, table: str) -> None:
    before, _, rest = page.read_text().partition(_MARKS[0])
    _, _, after = rest.partition(_MARKS[1])
    page.write_text(f"{before}{_MARKS[0]}\n{table}{_MARKS[1]}{after}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--group", choices=[*GROUPS], default=None, help="one group of attacks alone")
    parser.add_argument("--write", action="store_true", help="put each table in its page")
    parser.add_argument("--only", default="", help="attacks whose words contain this")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    when = f"{datetime.date.today()}, {cores} cores, Python {platform.python_version()}, on fakes of engine and codec"
    failed = False
    for name, group in GROUPS.items():
        if given.group not in (None, name):
            continue
        costs = _costs([attack for attack in group.attacks if given.only in attack.what])
        failed = failed or any(cost.too_much(group) for cost in costs)
        rows = "".join(f"{cost.row()}\n" for cost in costs)
        if given.write:
            note = f"Measured by `python -m benchmarks.attacks --group {name}`: {when}."
            _put(Path(group.page), f"{_HEAD}{rows}\n{note}\n")
    return int(failed)


def _costs(attacks: Sequence[Attack]) -> list[Cost]:
    costs = []
    with ended_with_us(), tempfile.TemporaryDirectory() as folder:
        dimse = free_port()
        with FakeService(Path(folder), flags=("--decoders",), CXR_DIMSE__PORT=str(dimse)) as service:
            target = Target(service.url, dimse)
            target.warm_up()
            livez_cost = _livez_cost(service)
            for attack in attacks:
                costs.append(_measured(service, target, attack, livez_cost))
                print(costs[-1].row(), flush=True)
    return costs


if __name__ == "__main__":
    sys.exit(main())
