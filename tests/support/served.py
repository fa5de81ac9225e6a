"""Starts `cxr serve` on the embedded bundle as a process, to be talked to over real HTTP."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_START_SECONDS = 240
_TERM_SECONDS = 60


@dataclass
class Running:
    """A started service."""

    url: str
    process: subprocess.Popen[bytes]
    state: Path
    home: Path
    log: Path

    def stop(self) -> int:
        """Ask it to stop; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_TERM_SECONDS)


def start(folder: Path, seconds: float = _START_SECONDS, state: Path | None = None, **settings: str) -> Running:
    """Start `cxr serve` with its state, home and temporary files below `folder`; returns when it is ready."""
    home, state, log = folder / "home", state or folder / "state", folder / "log"
    home.mkdir(parents=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("CXR_", "XDG_"))},
        "HOME": str(home),
        "CXR_ENGINE__ENFORCE_EAGER": "true",
        **settings,
    }
    command = [str(Path(sys.executable).with_name("cxr")), "serve", "--port", "0", "--state-dir", str(state)]
    with log.open("w") as errors, (folder / "out").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=environment, cwd=folder)
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"Serving at (http://\S+)", (folder / "out").read_text())
        if found:
            return Running(found.group(1), process, state, home, log)
        time.sleep(0.2)
    process.kill()
    process.wait()
    said = (folder / "out").read_text() + log.read_text()
    raise RuntimeError(f"the service did not start:\n{said[-4000:]}")
