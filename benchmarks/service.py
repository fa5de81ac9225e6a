"""The service itself as a contender: `cxr serve`, or the gateway alone on the fakes, as a process."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil

from benchmarks.contenders.served import ServedPeer


def on_core(core: int) -> list[str]:
    """The beginning of a command that runs on one processor."""
    return [shutil.which("taskset") or "taskset", "-c", str(core)]


class Service(ServedPeer):
    """A service on a state folder of its own, ready once `/readyz` says so.

    `core` pins it to one processor; `fakes` replaces engine, codec and sandbox. Compiled kernels are kept in `cache`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bundle: Path | None = None,
        cache: Path | None = None,
        fakes: bool = False,
        core: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        module = "app.server.fakes" if fakes else "app.cli"
        command = [sys.executable, "-m", module, *([] if fakes else ["serve"]), "--state-dir", str(folder / "state")]
        if core is not None:
            command = [*on_core(core), *command]
        environment = dict(settings or {})
        if bundle is not None:
            environment["CXR_BUNDLE"] = str(bundle.resolve())
        if cache is not None:
            environment["VLLM_CACHE_ROOT"] = str(cache.resolve() / "vllm")
            environment["TORCHINDUCTOR_CACHE_DIR"] = str(cache.resolve() / "inductor")
            environment["TRITON_CACHE_DIR"] = str(cache.resolve() / "triton")
        super().__init__(command, folder / "service.log", environment=environment)

    @property
    def ready(self) -> bool:
        """Whether requests are served."""
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=60.0).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    @property
    def log(self) -> str:
        """What it has logged, one JSON object a line."""
        return self._log.read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """The process and everything that it started."""
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
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
        assert self._process is not None
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)
