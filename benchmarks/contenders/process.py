"""A process of a contender, as its parent sees it: its log, its death, its end."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self

_ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 30.0
_TAIL_BYTES = 3000


class ContenderError(RuntimeError):
    """A contender that did not start, died, took too long or refused its work; the message ends with its log's tail."""


@contextlib.contextmanager
def ended_with_us() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as an interrupt does, so that what it has started is ended as well.

    The process then exits with 128 and the signal's number, as a shell has it.
    """

    def leave(number: int, _: FrameType | None) -> NoReturn:
        # A second one must not break off what the first one ends.
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def contender_command(name: str, bundle: Path, device: str, threads: int, *flags: str) -> list[str]:
    """The command that runs a contender with the interpreter of this process."""
    common = ["--bundle", str(bundle.resolve()), "--device", device, "--threads", str(threads)]
    return [sys.executable, "-m", "benchmarks.contenders", name, *common, *flags]


class Child(ABC):
    """A command in a session of its own, as a context that starts it, waits until it is ready, and ends it.

    stderr, and stdout where it is not piped, are added to the file `log`. `environment` is added to this process's,
    without the variables that begin with one of `without`. It runs in `cwd`, or in the checkout, and has `stop_seconds`
    to end when it is asked to.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        start_timeout: float = 900.0,
        environment: Mapping[str, str] | None = None,
        without: tuple[str, ...] = (),
        cwd: Path = _ROOT,
        stop_seconds: float = _STOP_SECONDS,
    ) -> None:
        self.start_seconds = 0.0
        self.log = log
        self._command = list(command)
        self._start_timeout = start_timeout
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(without)}
        self._environment = {**inherited, **(environment or {})}
        self._cwd = cwd
        self._stop_seconds = stop_seconds

    @abstractmethod
    def start(self) -> Self:
        """Start the process; returns when it is ready, with `start_seconds` set. Raises ContenderError."""

    @abstractmethod
    def close(self) -> None:
        """End the process and everything that it started."""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spawn(self, *, piped: bool) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                cwd=self._cwd,
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )

    def _failure(self, what: str) -> ContenderError:
        tail = self.log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace") if self.log.exists() else ""
        return ContenderError(f"{what}; its log {self.log} ends:\n{tail}")


def ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended. It is not reaped, so that its number stays the name of its session."""
    return (
        process.returncode is not None
        or os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    )


def end(process: subprocess.Popen[bytes], seconds: float, request: signal.Signals | None = None) -> None:
    """Ask it to end by the signal `request`, if one is given; wait `seconds` at most; kill what is left of its session.

    A process that was waited for already is left alone: its number may be another's.
    """
    if process.returncode is not None:
        return
    if request is not None and not ended(process):
        os.kill(process.pid, request)
    until = time.monotonic() + seconds
    while not ended(process) and time.monotonic() < until:
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
