"""A contender that serves HTTP: started, awaited, driven by any number of clients, ended."""

import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from benchmarks.contenders.process import Child, end, ended
from benchmarks.ports import free_port

_POLL_SECONDS = 0.1


class ServedContender(Child):
    """The parent's side: a server on a free port of 127.0.0.1, ready once `GET /health` answers 200.

    `command` receives `--port`. Clients post to `url` + `/predict`.
    """

    process: subprocess.Popen[bytes]

    def __init__(self, command: Sequence[str], log: Path, *, port: int | None = None, **options: Any) -> None:
        """`options` are `Child`'s."""
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__([*command, "--port", str(self.port)], log, **options)

    @property
    def ready(self) -> bool:
        """Whether it answers that it is well."""
        try:
            return httpx.get(f"{self.url}/health", trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def start(self) -> Self:
        """See `Child.start`."""
        started = time.monotonic()
        process = self.process = self._spawn(piped=False)
        while not self.ready:
            if ended(process):
                raise self._failure("the contender has died")
            if time.monotonic() - started > self._start_timeout:
                raise self._failure(f"the contender was not ready within {self._start_timeout:.0f} s")
            time.sleep(_POLL_SECONDS)
        self.start_seconds = time.monotonic() - started
        return self

    def close(self) -> None:
        """See `Child.close`."""
        if hasattr(self, "process"):
            end(self.process, self._stop_seconds, signal.SIGINT)
