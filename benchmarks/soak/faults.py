"""What goes wrong while studies arrive: processes die or are stopped, disk, database and clock misbehave."""

import contextlib
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import sqlalchemy as sa

from app.server.fakes import CODEC_DIES, ENGINE_DIES
from benchmarks.service import FakeService
from benchmarks.soak.clock import Clock
from benchmarks.soak.supervised import Supervised

_LOCK_SECONDS = 35.0  # longer than the service waits for a lock
_FULL_SECONDS = 6.0
_NOTICE_SECONDS = 20.0
_BLOCK = bytes(1_000_000)


@dataclass(frozen=True)
class Stage:
    """Where the faults happen: the service, its state folder, its database, its clock where that can be set, and
    what takes its place in the upgrade (None: a new process of the same release).
    """

    supervised: Supervised
    state: Path
    database: str
    clock: Clock | None
    successor: FakeService


def _gateway(stage: Stage) -> None:
    stage.supervised.kill()


def _decoder(stage: Stage) -> None:
    _signal_a_decoder(stage, signal.SIGKILL)


def _decoder_stopped(stage: Stage) -> None:
    _signal_a_decoder(stage, signal.SIGSTOP)


def _signal_a_decoder(stage: Stage, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        children = psutil.Process(stage.supervised.pid).children()
        decoders = [child for child in children if "app.imaging.decoder" in child.cmdline()]
        if decoders:
            random.choice(decoders).send_signal(number)


def _engine(stage: Stage) -> None:
    _end_by_itself(stage, ENGINE_DIES)


def _codec(stage: Stage) -> None:
    _end_by_itself(stage, CODEC_DIES)


def _end_by_itself(stage: Stage, number: signal.Signals) -> None:
    """Have a part die, and wait until the service has noticed it and ended."""
    before, until = stage.supervised.ends.total(), time.monotonic() + _NOTICE_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.kill(stage.supervised.pid, number)
    while stage.supervised.ends.total() == before and time.monotonic() < until:
        time.sleep(0.1)


def _disk(stage: Stage) -> None:
    ballast = stage.state / "ballast"
    try:
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(_BLOCK)
                file.flush()
        time.sleep(_FULL_SECONDS)
    finally:
        ballast.unlink(missing_ok=True)


def _database(stage: Stage) -> None:
    if stage.database.startswith("sqlite"):
        connection = sqlite3.connect(stage.database.removeprefix("sqlite:///"), timeout=60.0, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(_LOCK_SECONDS)
        connection.execute("ROLLBACK")
        connection.close()
        return
    engine = sa.create_engine(stage.database)
    with engine.begin() as locked:
        locked.exec_driver_sql("LOCK TABLE cxr_instances, cxr_jobs IN ACCESS EXCLUSIVE MODE")
        time.sleep(_LOCK_SECONDS)
    engine.dispose()


def _clock(seconds: int) -> Callable[[Stage], None]:
    def change(stage: Stage) -> None:
        if stage.clock is not None:
            stage.clock.set(seconds)

    return change


def _upgrade(stage: Stage) -> None:
    stage.supervised.replace(stage.successor)


FAULTS: Mapping[str, Callable[[Stage], None]] = {
    "gateway": _gateway,
    "decoder": _decoder,
    "decoder stopped": _decoder_stopped,
    "engine": _engine,
    "codec": _codec,
    "disk full": _disk,
    "database locked": _database,
    "clock an hour forward": _clock(3_600),
    "clock an hour back": _clock(-3_600),
    "upgrade": _upgrade,
}


def usual(studies: int) -> dict[str, int]:
    """How often each fault happens while so many studies arrive."""
    return {
        "gateway": max(3, studies // 25),
        "decoder": max(2, studies // 40),
        "decoder stopped": max(1, studies // 100),
        "engine": max(1, studies // 100),
        "codec": max(1, studies // 100),
        "disk full": max(1, studies // 250),
        "database locked": max(1, studies // 500),
        "clock an hour forward": max(1, studies // 250),
        "clock an hour back": max(1, studies // 250),
    }


def order(counts: Mapping[str, int], has_upgrade: bool, late: Collection[str] = ()) -> list[str]:
    """The faults in a random order, with the upgrade in the middle and those that are `late` behind it."""
    names = [name for name, count in counts.items() for _ in range(count)]
    random.shuffle(names)
    if not has_upgrade:
        return names
    middle = len(names) // 2
    first, second = names[:middle], names[middle:]
    moved = [name for name in first if name in late]
    second += moved
    random.shuffle(second)
    return [*(name for name in first if name not in late), "upgrade", *second]
