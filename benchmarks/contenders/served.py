"""A peer that serves HTTP: started, awaited, driven by any number of clients, ended."""

import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from benchmarks.contenders.process import Child, end, ended

_POLL_SECONDS = 0.1


class ServedPeer(Child):
    """The parent's side: a server on a free port of 127.0.0.1, ready once `GET /health` answers 200.

    `command` receives `--port`. Clients post to `url` + `/predict`.
    """

    _process: subprocess.Popen[bytes] | None = None

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        start_timeout: float = 900.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__([*command, "--port", str(port)], log, start_timeout=start_timeout, environment=environment)

    @property
    def ready(self) -> bool:
        """Whether it answers that it is well."""
        try:
            return httpx.get(f"{self.url}/health", trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def start(self) -> None:
        """See `Child.start`."""
        started = time.monotonic()
        process = self._process = self._spawn(piped=False)
        while not self.ready:
            if ended(process):
                raise self._failure("the peer has died")
            if time.monotonic() - started > self._start_timeout:
                raise self._failure(f"the peer was not ready within {self._start_timeout:.0f} s")
            time.sleep(_POLL_SECONDS)
        self.start_seconds = time.monotonic() - started

    def close(self) -> None:
        """See `Child.close`."""
        process, self._process = self._process, None
        if process is not None:
            end(process, signal.SIGINT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
