"""The service as a process: `cxr serve`, or the gateway on fakes. Benchmarks measure it, tests stop and kill it."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.contenders.served import ServedContender

SERVE = (sys.executable, "-m", "app.cli", "serve")
FAKES = (sys.executable, "-m", "app.server.fakes")
_STOP_SECONDS = 60.0
_TAIL_CHARACTERS = 9000


def on_core(core: int) -> list[str]:
    """The beginning of a command that runs on one processor."""
    return [shutil.which("taskset") or "taskset", "-c", str(core)]


class Service(ServedContender):
    """A service on one port and one state folder below `folder`, ready once `/readyz` says so.

    It can be restarted after `kill` or `stop`; the log is appended to. `program` is the command to run, `core`
    the one processor it is pinned to. Compiled kernels are kept in `cache`. `settings` are the only CXR_* variables
    that it sees. With `alone`, it runs in `folder` and has a home folder there, to show what else it writes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        program: Sequence[str] = SERVE,
        bundle: Path | None = None,
        state: Path | None = None,
        cache: Path | None = None,
        core: int | None = None,
        settings: Mapping[str, str] | None = None,
        alone: bool = False,
        start_timeout: float = 900.0,
    ) -> None:
        environment = dict(settings or {})
        self.state = state or Path(environment.get("CXR_STATE_DIR", folder / "state"))
        self.home = folder / "home"
        if bundle is not None:
            environment["CXR_BUNDLE"] = str(bundle.resolve())
        if cache is not None:
            environment["VLLM_CACHE_ROOT"] = str(cache.resolve() / "vllm")
            environment["TORCHINDUCTOR_CACHE_DIR"] = str(cache.resolve() / "inductor")
            environment["TRITON_CACHE_DIR"] = str(cache.resolve() / "triton")
        options: dict[str, Any] = {"without": ("CXR_",)}
        if alone:
            self.home.mkdir(parents=True, exist_ok=True)
            environment["HOME"] = str(self.home)
            options = {"without": ("CXR_", "XDG_"), "cwd": folder}
        super().__init__(
            [*([] if core is None else on_core(core)), *program, "--state-dir", str(self.state)],
            folder / "service.log",
            environment=environment,
            start_timeout=start_timeout,
            **options,
        )

    @property
    def ready(self) -> bool:
        """Whether requests are served."""
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=60.0).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """SIGKILL, for the main process alone."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit status. A process that does not end is killed, and its log is in the error."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR1)  # the stacks of its threads, into the log
            time.sleep(1)
            self.kill()
            raise RuntimeError(self.log.read_text()[-_TAIL_CHARACTERS:]) from None

    def processes(self) -> list[psutil.Process]:
        """The process and everything that it started."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def private_mb(self) -> dict[str, float]:
        """Private memory in MB by process name, those of one name together."""
        found: dict[str, float] = {}
        for process in self.processes():
            try:
                name, held = process.name(), process.memory_full_info().uss / 1e6
            except psutil.Error:
                continue
            found[name] = round(found.get(name, 0.0) + held, 1)
        return found

    def cpu_seconds(self) -> float:
        """Processor time so far of the main process alone, which is the gateway."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


class FakeService(Service):
    """The service on fakes whose studies are complete, and retried, within fractions of a second."""

    def __init__(self, folder: Path, *, step_seconds: float = 0.0, decoders: bool = False, **settings: str) -> None:
        quick = {
            "CXR_STUDY__QUIET_SECONDS": "0.3",
            "CXR_STUDY__RETRY_SECONDS": "0.2",
            "CXR_STUDY__MAX_RETRY_SECONDS": "2",
            "CXR_STUDY__MAX_ATTEMPTS": "100",
            "CXR_LIMITS__MIN_FREE_MB": "8",
        }
        super().__init__(
            folder,
            program=(*FAKES, "--step-seconds", str(step_seconds), *(["--decoders"] if decoders else [])),
            settings={**quick, **settings},
            start_timeout=60.0,
        )

    def jobs(self, **query: str) -> dict[str, Any]:
        """The list of its jobs."""
        found: dict[str, Any] = httpx.get(f"{self.url}/v1/jobs", params={"limit": 1000, **query}, timeout=30).json()
        return found

    def close(self) -> None:
        """Kill it: nothing that a fake holds is worth an orderly end."""
        if hasattr(self, "process") and self.process.poll() is None:
            self.kill()
