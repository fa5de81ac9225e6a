"""The service as a supervisor keeps it: one that has ended, for whatever reason, is started again on the same ports."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

from benchmarks.contenders.process import ContenderError, ended
from benchmarks.service import FakeService

_POLL_SECONDS = 0.2
_START_SECONDS = 240.0


class Supervised:
    """Keeps one service running; `ends` counts exit statuses of processes that ended by themselves."""

    def __init__(self, service: FakeService) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.ends: Counter[int] = Counter()

    @property
    def service(self) -> FakeService:
        """The one that runs, or starts."""
        return self._service

    @property
    def pid(self) -> int:
        """Its process; waits while it starts."""
        with self._lock:
            return self._service.process.pid

    def kill(self) -> None:
        """SIGKILL, and start it again."""
        with self._lock:
            self._service.kill()
            self._start()

    def replace(self, successor: FakeService) -> None:
        """Stop the service in order, and start another in its place."""
        with self._lock:
            self._service.stop()
            self._service = successor
            self._start()

    def _start(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while not self._stopping.is_set():
            try:
                self._service.start()
                return
            except ContenderError:
                self._service.kill()
                if time.monotonic() > until:
                    raise
                time.sleep(1.0)  # it may not start on a full disk

    def _watch(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            with self._lock:
                if ended(self._service.process):
                    self.ends[self._service.process.wait()] += 1
                    self._start()

    @contextlib.contextmanager
    def running(self) -> Iterator["Supervised"]:
        """Start it, and watch it while the block runs."""
        self._start()
        watch = threading.Thread(target=self._watch, name="supervisor")
        watch.start()
        try:
            yield self
        finally:
            self._stopping.set()
            watch.join()
            self._service.close()
