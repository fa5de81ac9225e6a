"""Threads share the allocator's arenas; neither memory nor files are for other users."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from app.settings import Settings
from tests.support.process import ServiceProcess
from tests.support.service import running
from tests.support.studies import instance, multipart

_COUNT = """
import ctypes, sys, threading
from app.server.process import share_arenas

if sys.argv[1] == "shared":
    assert share_arenas()
libc, found, together = ctypes.CDLL(None), [], threading.Barrier(8)
libc.malloc.restype = ctypes.c_void_p

def allocate():
    together.wait()
    found.append(libc.malloc(2000))
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len({address >> 26 for address in found}))  # glibc aligns the heaps of an arena to 64 MiB
"""


def _arenas(how: str) -> int:
    run = subprocess.run([sys.executable, "-c", _COUNT, how], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_threads_share_two_arenas_instead_of_one_each() -> None:
    assert _arenas("shared") <= 2 < _arenas("apart")


def test_the_memory_of_the_process_cannot_be_traced_by_its_user() -> None:
    code = (
        "import ctypes; from app.server.process import forbid_tracing; assert forbid_tracing(); "
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "0"


def test_the_state_folder_and_all_that_lies_in_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "spool").mkdir(parents=True, mode=0o755)
    state.chmod(0o755)  # as the release before left it
    with ServiceProcess(tmp_path) as service:
        body, headers = multipart([instance()])
        assert httpx.post(f"{service.url}/dicom-web/studies", content=body, headers=headers).status_code == 200
        service.wait_until_over(1)
        assert state.stat().st_mode & 0o077 == 0
        made = [path for path in state.rglob("*") if path != state / "spool"]
        assert {"cxr.sqlite", "spool", "tmp", "audit"} <= {path.name for path in state.iterdir()}
        assert [path for path in made if path.lstat().st_mode & 0o077 and not path.is_socket()] == []


async def test_a_state_folder_that_is_open_to_others_is_closed_and_said_whoever_starts_the_application(
    settings: Settings,
) -> None:
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    settings.state_dir.chmod(0o755)
    before = os.umask(0o022)
    try:
        with capture_logs() as logs:
            async with running(settings):
                made = settings.state_dir / "made"
                made.write_text("")
    finally:
        os.umask(before)
    assert [settings.state_dir.stat().st_mode & 0o077, made.stat().st_mode & 0o077] == [0, 0]
    assert any("open to other users" in line["event"] for line in logs)
