"""Descriptors: as many as the process may have, and a word in the log before there are none left."""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.server import descriptors


@contextlib.contextmanager
def limited(free: int) -> Iterator[None]:
    """So many descriptors may still be opened."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + free, before[1]))
    opened = []
    with contextlib.suppress(OSError):
        while True:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    for _ in range(free):
        os.close(opened.pop())
    try:
        yield
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("soft", "hard", "expected"), [(64, 4_096, 4_096), (64, 100_000, 65_536), (4_096, 4_096, 4_096)]
)
def test_the_soft_limit_is_raised_towards_the_hard_one(soft: int, hard: int, expected: int) -> None:
    code = (
        "import resource; from app.server.descriptors import raise_limit; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); "
        "print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("the hard limit of this machine is lower")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [int(number) for number in run.stdout.split()] == [expected, expected, hard]


@pytest.mark.parametrize("free", [0, 2])
async def test_few_descriptors_are_said_once_a_minute(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "_LOOK_SECONDS", 0.01)
    with capture_logs() as lines, limited(free):
        watching = asyncio.create_task(descriptors.watch())
        await asyncio.sleep(0.1)
        watching.cancel()
    assert [line["event"] for line in lines] == ["descriptors run out: new connections will be refused"]
    assert lines[0]["limit"] > lines[0]["free"] >= 0


async def test_enough_descriptors_are_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "_LOOK_SECONDS", 0.01)
    with capture_logs() as lines:
        watching = asyncio.create_task(descriptors.watch())
        await asyncio.sleep(0.05)
        watching.cancel()
    assert lines == []
