"""A benchmark that is ended takes what it has started with it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.service import ROOT

# Starts a contender that stays, as the suite does, and says its number.
PROGRAM = """
import asyncio, contextlib, sys
from pathlib import Path
from benchmarks.contenders.process import Child, ended_with_us, end

class Sleeper(Child):
    def start(self):
        self.process = self._spawn(piped=False)
        return self
    def close(self):
        end(self.process, 1.0)

with ended_with_us(), Sleeper([sys.executable, "-c", "import time; time.sleep(600)"], Path(sys.argv[1])) as sleeper:
    print(sleeper.process.pid, flush=True)
    asyncio.run(asyncio.sleep(600))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_contenders_too(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as bench:
        assert bench.stdout is not None
        contender = psutil.Process(int(bench.stdout.readline()))
        time.sleep(0.5)  # until it waits in its loop
        bench.send_signal(number)
        status = bench.wait(30)
    assert not contender.is_running()
    assert status == (-signal.SIGINT if number == signal.SIGINT else 128 + number)
