"""The service on fakes as a process (`app.server.fakes`): started, killed, started again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from tests.support.orthanc import free_port


class ServiceProcess:
    """One service on one state folder and one port, in changing processes."""

    def __init__(self, folder: Path, *, step_seconds: float = 0.0, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "service.log"
        self.state = folder / "state"
        self._command = [sys.executable, "-m", "app.server.fakes", "--port", str(self.port)]
        self._command += ["--step-seconds", str(step_seconds)]
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CXR_")},
            "CXR_STATE_DIR": str(self.state),
            "CXR_STUDY__QUIET_SECONDS": "0.3",
            "CXR_STUDY__RETRY_SECONDS": "0.2",
            "CXR_STUDY__MAX_RETRY_SECONDS": "2",
            "CXR_STUDY__MAX_ATTEMPTS": "100",
            "CXR_LIMITS__MIN_FREE_MB": "8",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 60.0) -> "ServiceProcess":
        """Start a process; returns when it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return self
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise RuntimeError(self.log.read_text()[-3000:])

    def jobs(self, **query: str) -> dict[str, Any]:
        """The list of its jobs."""
        found: dict[str, Any] = httpx.get(f"{self.url}/v1/jobs", params={"limit": 1000, **query}, timeout=30).json()
        return found

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit status. A process that does not end is killed, and its log is in the error."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR1)  # its threads, into the log
            time.sleep(1)
            self.kill()
            raise RuntimeError(self.log.read_text()[-9000:]) from None

    def __enter__(self) -> "ServiceProcess":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
