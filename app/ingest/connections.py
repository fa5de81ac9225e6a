"""The connections of the DIMSE port: who may hold how many, and when each that does nothing ends."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

from app.settings import DimseSettings

log = structlog.get_logger(__name__)

_WATCH_SECONDS = 0.25
_SERVICE_SECONDS = 180.0
# A data set that comes more slowly than this is given up once the idle time is over as well.
_LEAST_BYTES_A_SECOND = 10_000
# PS3.8 9.3.8: A-ABORT by the service provider, invalid PDU parameter.
_ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x06"


class Connection:
    """One connection, as its threads and the watch see it. `deadline` is when it ends, None once it was ended."""

    def __init__(self, settings: DimseSettings, association: Any, address: str) -> None:
        self._settings = settings
        self._association = association
        self._started = 0.0
        self._closing: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._over = False
        self.address = address
        self.ae = ""
        self.admitted = False
        self.born = time.monotonic()
        self.deadline: float | None = self.born + settings.artim_seconds

    def opened(self) -> None:
        """The association is there."""
        self.deadline = time.monotonic() + self._settings.idle_seconds

    def released(self) -> None:
        """The association is over, and the peer has still to close the connection (PS3.8 9.2, Sta13)."""
        self.admitted = False
        self.deadline = time.monotonic() + self._settings.artim_seconds

    def receiving(self, count: int) -> None:
        """So many bytes of a data set have come; 0 with its request."""
        if not count:
            self._started = time.monotonic()
        self.deadline = self._started + self._settings.idle_seconds + count / _LEAST_BYTES_A_SECOND

    def serving(self) -> None:
        """A data set is complete, and its answer is ours."""
        self.deadline = time.monotonic() + _SERVICE_SECONDS

    def when_closed(self, action: Callable[[], None]) -> None:
        """Have something done once the connection is gone; at once where it is."""
        with self._lock:
            if not self._over:
                self._closing.append(action)
                return
        action()

    def closed(self) -> None:
        """The connection is gone."""
        with self._lock:
            self._over, self.admitted = True, False
            actions, self._closing = self._closing, []
        for action in actions:
            action()

    @property
    def is_gone(self) -> bool:
        """Whether its threads have ended; a connection that is being set up has none yet."""
        threads = (self._association, self._association.dul)
        return self._over or (time.monotonic() > self.born + 5.0 and not any(thread.is_alive() for thread in threads))

    def end(self, reason: str) -> None:
        """Abort it, from any thread."""
        log.warning("association aborted", ae=self.ae or None, address=self.address, reason=reason)
        self.deadline = None
        held = getattr(self._association.dul.socket, "socket", None)
        if held is None:
            return
        with contextlib.suppress(OSError, ValueError):
            if not isinstance(held, ssl.SSLSocket):  # another thread may be reading, which OpenSSL does not take
                held.send(_ABORT, socket.MSG_DONTWAIT)
        with contextlib.suppress(OSError, ValueError):
            held.shutdown(socket.SHUT_RDWR)


class Connections:
    """All of them. Associations have a share by AE title and by address; what has none yet takes no place."""

    def __init__(self, settings: DimseSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._held: list[Connection] = []
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, name="dimse-watch", daemon=True).start()

    def stop(self) -> None:
        """Abort all."""
        self._stopped.set()
        with self._lock:
            held = list(self._held)
        for connection in held:
            connection.end("the service stops")

    def add(self, connection: Connection) -> None:
        """A connection has come. Where too many have no association, the oldest of its address ends, or of all."""
        with self._lock:
            self._held = [one for one in self._held if not one.is_gone]
            waiting = [one for one in self._held if not one.admitted]
            beside = [one for one in waiting if one.address == connection.address]
            self._held.append(connection)
        most = self._settings.max_half_open
        if len(beside) >= max(1, most // 2):
            self._give_up(beside[0])
        elif len(waiting) >= most:
            self._give_up(waiting[0])

    def _give_up(self, connection: Connection) -> None:
        connection.end("too many connections without an association")
        self.remove(connection)

    def remove(self, connection: Connection) -> None:
        """A connection is gone."""
        with self._lock:
            self._held = [one for one in self._held if one is not connection]
        connection.closed()

    def admit(self, connection: Connection, ae: str) -> bool:
        """Give an association its place; False where it has none."""
        settings = self._settings
        with self._lock:
            others = [one for one in self._held if one.admitted and not one.is_gone]
            beside = [one for one in others if one.address == connection.address]
            same = [one for one in beside if one.ae == ae]
            connection.ae = ae
            connection.admitted = (
                len(others) < settings.max_associations
                and len(beside) < settings.share_of_an_address
                and len(same) < settings.share_of_an_ae
            )
            return connection.admitted

    def _watch(self) -> None:
        while not self._stopped.wait(_WATCH_SECONDS):
            now = time.monotonic()
            with self._lock:
                held = list(self._held)
            for connection in held:
                try:
                    if connection.is_gone:
                        self.remove(connection)
                    elif connection.deadline is not None and connection.deadline < now:
                        connection.end("nothing was stored for too long" if connection.admitted else "no association")
                except Exception as error:  # the others are still to be watched
                    log.error("a connection could not be ended", exc_info=error)
