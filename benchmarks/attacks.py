"""What hostile inputs cost the gateway: its memory, its time to answer `/livez`, and what it answers.

`python -m benchmarks.attacks [--write docs/security.md] [--only WORD]`: starts the service on fakes of engine and codec
with the real decoders, sends one attack after the other, and prints a table, or puts it between the page's marks. Exits
with 1 where one costs more than 200 MB or a second of `/livez`.
"""

import argparse
import datetime
import os
import platform
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.attack_dimse import DIMSE_ATTACKS
from benchmarks.attack_stow import HTTP_ATTACKS
from benchmarks.attack_target import Attack, Target
from benchmarks.ports import free_port
from benchmarks.service import FakeService

_MOST_MB, _MOST_SECONDS = 200.0, 1.0
_MARKS = ("<!-- attacks: begin -->", "<!-- attacks: end -->")
_HEAD = "| input | sent | gateway | seconds | `/livez` | answer |\n|---|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Cost:
    """What one attack did: MB sent, MB that the gateway grew by at its peak, seconds, longest `/livez`, the answer."""

    attack: Attack
    sent_mb: float
    grown_mb: float
    seconds: float
    livez_seconds: float
    answer: str

    @property
    def too_much(self) -> bool:
        """Whether it cost more than any may."""
        return self.grown_mb > _MOST_MB or self.livez_seconds > _MOST_SECONDS

    def row(self) -> str:
        """It as a row of the table."""
        numbers = f"{self.sent_mb:.1f} MB | +{self.grown_mb:.0f} MB | {self.seconds:.1f} | {self.livez_seconds:.2f} s"
        return f"| {self.attack.what} | {numbers} | {self.answer} |"


class Watch:
    """Samples a process's resident memory and its `/livez` while a block runs."""

    def __init__(self, service: FakeService) -> None:
        self._status = Path(f"/proc/{service.process.pid}/status")
        self._url = f"{service.url}/livez"
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._memory), threading.Thread(target=self._livez)]
        self.first_mb = self.peak_mb = self._resident()
        self.livez_seconds = 0.0

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
            while not self._over.wait(0.05):
                started = time.perf_counter()
                client.get(self._url)
                self.livez_seconds = max(self.livez_seconds, time.perf_counter() - started)


def _measured(service: FakeService, target: Target, attack: Attack) -> Cost:
    target.sent = 0
    send = attack.prepare()
    with Watch(service) as watch:
        started = time.perf_counter()
        answer = send(target)
        seconds = time.perf_counter() - started
        time.sleep(0.5)
    grown = watch.peak_mb - watch.first_mb
    return Cost(attack, target.sent / 1e6, grown, seconds, watch.livez_seconds, answer)


def _put(page: Path, table: str) -> None:
    before, _, rest = page.read_text().partition(_MARKS[0])
    _, _, after = rest.partition(_MARKS[1])
    page.write_text(f"{before}{_MARKS[0]}\n{table}{_MARKS[1]}{after}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, default=None, help="page to put the table in")
    parser.add_argument("--only", default="", help="attacks whose words contain this")
    given = parser.parse_args()
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        dimse = free_port()
        with FakeService(Path(folder), flags=("--decoders",), CXR_DIMSE__PORT=str(dimse)) as service:
            target = Target(service.url, dimse)
            target.warm_up()
            for attack in (*HTTP_ATTACKS, *DIMSE_ATTACKS):
                if given.only in attack.what:
                    costs.append(_measured(service, target, attack))
                    print(costs[-1].row(), flush=True)
    cores = len(os.sched_getaffinity(0))
    when = f"{datetime.date.today()}, {cores} cores, Python {platform.python_version()}, on fakes of engine and codec"
    rows = "".join(f"{cost.row()}\n" for cost in costs)
    table = f"{_HEAD}{rows}\nMeasured by `python -m benchmarks.attacks`: {when}.\n"
    if given.write is not None:
        _put(given.write, table)
    return int(any(cost.too_much for cost in costs))


if __name__ == "__main__":
    sys.exit(main())
