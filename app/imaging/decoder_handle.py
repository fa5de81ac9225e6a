"""The gateway's side of one decoder process: started, asked, watched, killed."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

import structlog

from app.imaging import wire
from app.settings import ImagingSettings

log = structlog.get_logger(__name__)

_START_SECONDS = 60.0
_WATCH_SECONDS = 0.5
_STOP_SECONDS = 1.0
_PACKAGE = Path(__file__).resolve().parents[2]
# A decoder sees no variable of the service, which may hold passwords; these choose numeric kernels that work here.
_KEPT = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "LD_LIBRARY_PATH")
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class Sink(Protocol):
    """Takes a reply that comes in pieces."""

    def restart(self) -> None:
        """Forget what has come: it comes once more."""

    def write(self, data: bytes) -> None:
        """Take the next piece."""

    def close(self) -> None:
        """Nothing comes any more, and what has come is not wanted."""


class DecoderGone(Exception):
    """The process has died, was stopped, or answers what it may not: none of it is the image's doing for sure."""


class DecodeTimeout(Exception):
    """The decode took longer than it may."""


class DecoderHandle:
    """One decoder process. Blocks: to be used by one thread at a time."""

    def __init__(self, limits: ImagingSettings) -> None:
        """Start a process and wait until it is confined and ready. Raises OSError, DecoderGone."""
        self._limits = limits
        self._channel, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(  # noqa: S603  our own module, without a shell
                [sys.executable, "-P", "-m", "app.imaging.decoder", str(theirs.fileno()), limits.model_dump_json()],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                # An interrupt from a terminal is the gateway's; its decoders end when it closes their sockets.
                start_new_session=True,
            )
        except OSError:
            self._channel.close()
            raise
        finally:
            theirs.close()
        try:
            body, _ = self._receive(time.monotonic() + _START_SECONDS)
        except (DecodeTimeout, DecoderGone) as error:
            self.kill()
            raise DecoderGone("the decoder did not start") from error
        self.missing = body.missing if isinstance(body, wire.StateReply) else []
        self._megabytes_at_start = self.megabytes

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs: neither ended nor stopped by a signal."""
        return self._process.poll() is None and not self._is_stopped()

    @property
    def megabytes(self) -> int:
        """Address space of the process in MB, 0 where it is gone."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGESIZE") // 1_000_000

    @property
    def is_bloated(self) -> bool:
        """Whether it keeps so much memory that the next image may meet the limit for no reason of its own."""
        return self.megabytes - self._megabytes_at_start > self._limits.memory_mb // 4

    def _is_stopped(self) -> bool:
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return False
        return state in ("T", "t")

    def ask(
        self, kind: wire.Kind, size: int, data: bytes, file: int | None = None, into: Sink | None = None
    ) -> tuple[wire.Reply, bytes]:
        """One request, with an open file that the process may read, and its reply; pieces before it go to `into`.

        Raises DecoderGone and DecodeTimeout, after which the process is to be killed, and what `into` does.
        """
        until = time.monotonic() + self._limits.timeout_seconds
        try:
            header, body = wire.request(kind, size, data)
            if file is not None:
                self._wait(until)
                header = header[wire.send_file(self._channel, header, file) :]
            for part in (header, body):
                self._send(part, until)
        except OSError as error:
            raise DecoderGone("the decoder took no image") from error
        left = self._limits.max_transcoded_mb * 1_000_000
        while True:
            reply = self._receive(until)
            if not isinstance(reply[0], wire.PieceReply):
                return reply
            left -= len(reply[1])
            if into is None or left < 0:
                raise DecoderGone("the decoder answers what it may not")
            into.write(reply[1])

    def _send(self, data: bytes, until: float) -> None:
        view, at = memoryview(data), 0
        while at < len(view):
            self._wait(until)
            try:
                at += self._channel.send(view[at:])
            except TimeoutError:
                continue

    def _receive(self, until: float) -> tuple[wire.Reply, bytes]:
        while True:
            self._wait(until)
            try:
                # A decoder sends nothing before it has a whole reply or piece, so a wait is over or has not begun.
                self._channel.recv(1, socket.MSG_PEEK)
                self._channel.settimeout(_STOP_SECONDS + max(0.0, until - time.monotonic()))
                reply = wire.read_reply(self._channel)
            except TimeoutError:
                continue
            except (OSError, ValueError) as error:
                raise DecoderGone("the decoder answers what it may not") from error
            if reply is None:
                raise DecoderGone("the decoder has died")
            return reply

    def _wait(self, until: float) -> None:
        """Set the socket's next timeout, once the process was seen to run and there is time left."""
        remaining = until - time.monotonic()
        if remaining <= 0.0:
            raise DecodeTimeout
        if not self.alive:
            raise DecoderGone("the decoder has died or was stopped")
        self._channel.settimeout(min(_WATCH_SECONDS, remaining))

    def signal_end(self) -> None:
        """Have the process end, from any thread; the one that asks it meets DecoderGone and is to kill it."""
        self._process.kill()

    def kill(self) -> None:
        """End the process at once."""
        self._channel.close()
        self._process.kill()
        self._process.wait()


def open_file(file: Path) -> int:
    """A file for a process to read. Raises OSError."""
    return os.open(file, os.O_RDONLY | os.O_CLOEXEC)


def _environment() -> dict[str, str]:
    kept = {name: value for name in _KEPT if (value := os.environ.get(name))}
    return {**kept, **_ENVIRONMENT, "PYTHONPATH": str(_PACKAGE)}
