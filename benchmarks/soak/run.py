"""One round of the soak: send, break, wait until all is over, and count at the archive what has arrived."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.store.database import database_url
from benchmarks.orthanc import Orthanc, orthanc
from benchmarks.ports import free_port
from benchmarks.service import FakeService
from benchmarks.soak.clock import Clock
from benchmarks.soak.destination import UnreliableProxy
from benchmarks.soak.faults import FAULTS, Stage, order
from benchmarks.soak.senders import Address, Study, make_study, send
from benchmarks.soak.supervised import Supervised

_SENDERS = 6
_SEND_SECONDS, _END_SECONDS = 3_600.0, 600.0
_OVER = {"done", "failed", "cancelled"}


@dataclass
class Outcome:
    """What one round counted. `lost` and `doubled` are studies, `missing` instances, `stuck` jobs that are not over."""

    studies: int
    instances: int = 0
    acknowledged: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    destination: dict[str, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    reports: int = 0
    lost: int = 0
    doubled: int = 0
    missing: int = 0
    stuck: int = 0
    states: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        """Whether nothing was lost, doubled or left open."""
        whole = self.acknowledged == self.instances and self.states.get("done", 0) == sum(self.states.values())
        return whole and not (self.lost or self.doubled or self.missing or self.stuck)


def soak(
    folder: Path,
    studies: int,
    faults: Mapping[str, int] | None = None,
    *,
    upgrade_from: Path | None = None,
    has_upgrade: bool = False,
    down_seconds: float = 0.0,
    **settings: str,
) -> Outcome:
    """Send so many studies while each fault happens so often. Raises AssertionError where anything was lost or doubled.

    The service is of the checkout `upgrade_from` until the upgrade in the middle. For `down_seconds` at the beginning
    there is no destination.
    """
    outcome = Outcome(studies, faults=dict(faults or {}))
    archive_port, proxy_port = free_port(), free_port()
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    clock = _clock(folder, outcome)
    options = _options(state, proxy_port, clock, settings)
    flags = () if upgrade_from is not None else ("--decoders",)
    first = FakeService(folder / "service", release=upgrade_from, flags=flags, **options)
    successor = FakeService(folder / "service", flags=("--decoders",), port=first.port, **options)
    supervised = Supervised(first)
    url = settings.get("CXR_DATABASE_URL", database_url(None, state))
    stage = Stage(supervised, state, url, clock, successor)
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(UnreliableProxy(proxy_port, f"http://127.0.0.1:{archive_port}").running())
        archive = None if down_seconds else stack.enter_context(orthanc(folder / "orthanc", port=archive_port))
        stack.enter_context(supervised.running())
        address = Address(first.url, int(options["CXR_DIMSE__PORT"]))
        sent = [make_study(has_lateral=number % 3 == 0) for number in range(studies)]
        # The release before fails studies where a database is locked for longer than it waits.
        late = () if upgrade_from is None else ("database locked",)
        acknowledged = _send_all(sent, address, stage, order(outcome.faults, has_upgrade, late))
        if archive is None:
            time.sleep(max(0.0, down_seconds - (time.monotonic() - started)))
            archive = stack.enter_context(orthanc(folder / "orthanc", port=archive_port))
        outcome.states = _wait_until_over(supervised, studies)
        _count(outcome, sent, acknowledged, archive, supervised)
        outcome.destination, outcome.ends = dict(proxy.outcomes), dict(supervised.ends)
    outcome.seconds = round(time.monotonic() - started, 1)
    log = (folder / "service" / "service.log").read_text(errors="replace").splitlines()
    faults_of_steps = [line for line in log if '"a step failed"' in line][-10:]
    assert outcome.held, "\n".join([str(asdict(outcome)), *faults_of_steps])
    return outcome


def _clock(folder: Path, outcome: Outcome) -> Clock | None:
    """A clock where one is to be set; without a C compiler, its faults are left out."""
    wanted = [name for name in outcome.faults if "clock" in name]
    if not wanted:
        return None
    try:
        return Clock(folder)
    except FileNotFoundError as error:
        print(f"The clock is not set: {error}.")
        for name in wanted:
            del outcome.faults[name]
        return None


def _options(state: Path, proxy_port: int, clock: Clock | None, settings: Mapping[str, str]) -> dict[str, Any]:
    destination = [{"name": "pacs", "dicomweb_url": f"http://127.0.0.1:{proxy_port}/dicom-web", "timeout_seconds": 20}]
    return {
        "CXR_DESTINATIONS": json.dumps(destination),
        "CXR_DIMSE__PORT": str(free_port()),
        "CXR_STATE_DIR": str(state),
        "environment": {} if clock is None else clock.environment,
        **settings,
    }


def _send_all(studies: list[Study], address: Address, stage: Stage, faults: list[str]) -> dict[str, list[str]]:
    """Acknowledged SOP Instance UIDs by study; the faults are spread over the time that sending takes."""
    until = time.monotonic() + _SEND_SECONDS
    acknowledged: dict[str, list[str]] = {}
    finished = threading.Event()

    def one(study: Study) -> None:
        acknowledged[study.uid] = send(study, address, until)

    def break_things() -> None:
        for number, name in enumerate(faults):
            while len(acknowledged) < number * len(studies) / len(faults) and not finished.is_set():
                time.sleep(0.05)
            FAULTS[name](stage)

    breaking = ThreadPoolExecutor(1).submit(break_things)
    with ThreadPoolExecutor(_SENDERS) as senders:
        list(senders.map(one, studies))
    finished.set()
    breaking.result()
    return acknowledged


def _wait_until_over(supervised: Supervised, studies: int) -> dict[str, int]:
    until = time.monotonic() + _END_SECONDS
    states: Counter[str] = Counter()
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError, KeyError):
            states = Counter(job["state"] for job in _jobs(supervised.service))
            if len(states) and not states.keys() - _OVER and states.total() >= studies:
                break
        time.sleep(0.5)
    return dict(states)


def _jobs(service: FakeService) -> Iterator[dict[str, Any]]:
    offset = 0
    while page := service.jobs(offset=str(offset))["data"]:
        yield from page
        offset += len(page)


def _count(
    outcome: Outcome,
    sent: list[Study],
    acknowledged: Mapping[str, list[str]],
    archive: Orthanc,
    supervised: Supervised,
) -> None:
    outcome.instances = sum(len(study.instances) for study in sent)
    outcome.acknowledged = sum(map(len, acknowledged.values()))
    outcome.stuck = sum(count for state, count in outcome.states.items() if state not in _OVER)
    reports = Counter(archive.study_of(report["parent"]) for report in archive.reports())
    outcome.reports = reports.total()
    reasons = [job["reason"] for job in _jobs(supervised.service)]
    outcome.reasons = dict(Counter(reason["code"] for reason in reasons if reason is not None))
    outcome.lost = sum(not reports[study] for study, uids in acknowledged.items() if uids)
    outcome.doubled = sum(count > 1 for count in reports.values())
    with httpx.Client(base_url=supervised.service.url, timeout=60.0) as client:
        for study, uids in acknowledged.items():
            held = client.get(f"/dicom-web/studies/{study}/instances", headers={"Accept": "application/json"}).json()
            there = {item["00080018"]["Value"][0] for item in held}
            whole = client.get(f"/dicom-web/studies/{study}").status_code == httpx.codes.OK
            outcome.missing += sum(uid not in there or not whole for uid in uids)
