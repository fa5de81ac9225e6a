import os
import subprocess
import sys
from pathlib import Path

from tests.support.orthanc import free_port
from tests.support.service import ROOT

_INTERRUPTED = """
import os, signal, sys

class Interrupted:
    def write(self, text):
        if '"phase": "ready"' in text:
            os.kill(os.getpid(), signal.SIGTERM)
        return sys.__stderr__.write(text)

    def flush(self):
        sys.__stderr__.flush()

sys.stderr = Interrupted()
from app.server import fakes
sys.exit(fakes.main())
"""


def test_a_signal_in_the_middle_of_a_log_line_still_drains(tmp_path: Path) -> None:
    environment = {**os.environ, "CXR_STATE_DIR": str(tmp_path), "CXR_DRAIN__GRACE_SECONDS": "0.1"}
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, "--port", str(free_port())],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=60,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert '"event": "draining"' in done.stderr
