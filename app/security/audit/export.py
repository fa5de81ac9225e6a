"""Sends the audit log's events to a repository: in order, held while it is away, repeated where a connection broke."""

import contextlib
import queue
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from app.security.audit.chain import LOG
from app.security.audit.events import Event
from app.security.audit.message import Origin
from app.security.audit.syslog import Connection, frames_of, tls_of
from app.security.identity import Pseudonyms
from app.settings import AuditSettings, Settings
from app.telemetry.metrics import AUDIT_NOT_SENT, AUDIT_SENT, AUDIT_WAITING

log = structlog.get_logger(__name__)

_MOST_HELD = 20_000
_BATCH = 64
_CONNECT_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_CLOSE_SECONDS = 5.0
_CLOSE_PAUSE = 0.1
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0
# Syslog has no receipts. What was sent so shortly before a connection broke may not have been read: it is sent again,
# but not for ever, since the message itself may be what breaks it.
_DOUBT_SECONDS = 10.0
_MOST_DOUBTFUL = 5_000
_MOST_TIMES = 5
_COMMAND_SECONDS = 3.0


def origin_of(settings: Settings, pseudonyms: Pseudonyms) -> Origin:
    """What the messages of this installation say of where they come from."""
    ae_title = "" if settings.dimse.port is None else settings.dimse.ae_title
    return Origin(settings.node, socket.gethostname(), ae_title, pseudonyms(LOG))


def send_now(settings: Settings, pseudonyms: Pseudonyms, events: Iterable[Event]) -> None:
    """Send events on a connection of their own. Raises OSError, CxrError."""
    frames = [frame for event in events for frame in frames_of(event, origin_of(settings, pseudonyms))]
    connection = Connection(settings.audit, tls_of(settings.audit), _COMMAND_SECONDS)
    with contextlib.closing(connection):
        connection.send(b"".join(frames))


@dataclass(slots=True)
class _Frame:
    data: bytes
    events: int  # that it ends, and that are not counted yet
    times: int = 0
    sent: float = 0.0


class AuditExport:
    """Takes events at once and sends them on a thread. What it cannot hold is counted, and told when it can send."""

    def __init__(
        self, settings: AuditSettings, tls: ssl.SSLContext, origin: Origin, most_held: int = _MOST_HELD
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._origin = origin
        self._events: queue.Queue[Event] = queue.Queue(most_held)
        self._due: deque[_Frame] = deque()
        self._doubtful: deque[_Frame] = deque(maxlen=_MOST_DOUBTFUL)
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self._dropped = 0
        self._wait = _FIRST_WAIT
        self._closing = threading.Event()
        self._deadline = float("inf")
        # Is told how many events are in the log and were not sent.
        self.lost: Callable[[int], None] | None = None
        self._thread = threading.Thread(target=self._work, name="audit-export", daemon=True)
        self._thread.start()

    def __call__(self, events: list[Event]) -> None:
        """Take events that were written."""
        for event in events:
            try:
                self._events.put_nowait(event)
            except queue.Full:
                self._drop()
        self._count()

    def close(self) -> None:
        """Send what waits, for a few seconds, then stop."""
        self._deadline = time.monotonic() + _CLOSE_SECONDS
        self._closing.set()
        self._thread.join(_CLOSE_SECONDS + 1.0)
        left = self._waiting() + self._dropped
        if left:
            AUDIT_NOT_SENT.inc(self._waiting())
            log.error("audit events not sent", events=left)

    def _work(self) -> None:
        while not (self._closing.is_set() and (self._is_idle() or time.monotonic() > self._deadline)):
            try:
                self._fetch()
                if self._due and self._connection is None:
                    self._connection = Connection(self._settings, self._tls, _CONNECT_SECONDS)
                    log.info("audit repository connected", host=self._settings.syslog_host)
                self._send()
            except OSError as error:
                self._broken(error)
        if self._connection is not None:
            self._connection.close()

    def _is_idle(self) -> bool:
        return not self._due and self._events.empty()

    def _fetch(self) -> None:
        """Make the messages of what has come; waits a second for it, at most."""
        if self._due:
            return
        with contextlib.suppress(queue.Empty):
            self._make(self._events.get(timeout=_CLOSE_PAUSE if self._closing.is_set() else _LOOK_SECONDS))
            while len(self._due) < _BATCH:
                self._make(self._events.get_nowait())

    def _make(self, event: Event) -> None:
        try:
            frames = frames_of(event, self._origin)
        except Exception as error:  # the others are still to be sent
            log.error("audit event without a message", exc_info=error)
            self._drop()
            return
        self._due.extend(_Frame(data, int(number == len(frames))) for number, data in enumerate(frames, 1))

    def _drop(self) -> None:
        AUDIT_NOT_SENT.inc()
        with self._lock:
            self._dropped += 1

    def _send(self) -> None:
        if self._connection is None:
            return
        now = time.monotonic()
        while self._doubtful and (self._doubtful[0].sent < now - _DOUBT_SECONDS):
            self._doubtful.popleft()
        if not self._due:
            self._connection.check()
            return
        sending = [self._due.popleft() for _ in range(min(_BATCH, len(self._due)))]
        for frame in sending:
            frame.times, frame.sent = frame.times + 1, now
        self._doubtful.extend(sending)
        self._connection.send(b"".join(frame.data for frame in sending))
        for frame in sending:
            AUDIT_SENT.inc(frame.events)
            frame.events = 0
        self._count()
        if self._doubtful[0].times == 1:
            self._wait = _FIRST_WAIT
        self._tell_what_was_lost()

    def _tell_what_was_lost(self) -> None:
        with self._lock:
            lost, self._dropped = self._dropped, 0
        if lost and self.lost is not None:
            self.lost(lost)

    def _broken(self, error: OSError) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        now = time.monotonic()
        again = [one for one in self._doubtful if one.sent >= now - _DOUBT_SECONDS and one.times < _MOST_TIMES]
        for one in self._doubtful:
            if one.events and one.times >= _MOST_TIMES:
                self._drop()
        self._doubtful.clear()
        self._due.extendleft(reversed(again))
        reason = getattr(error, "verify_message", "") or getattr(error, "reason", None) or type(error).__name__
        log.warning("audit repository away", reason=reason, waiting=self._waiting(), seconds=self._wait)
        if not self._closing.wait(self._wait):
            self._wait = min(2.0 * self._wait, _LONGEST_WAIT)
        else:
            time.sleep(_CLOSE_PAUSE)

    def _waiting(self) -> int:
        return self._events.qsize() + len(self._due)

    def _count(self) -> None:
        AUDIT_WAITING.set(self._waiting())


def export_of(settings: Settings, pseudonyms: Pseudonyms) -> AuditExport | None:
    """The export that the settings ask for. Raises CxrError where a file of it cannot be used."""
    if settings.audit.syslog_host is None:
        return None
    return AuditExport(settings.audit, tls_of(settings.audit), origin_of(settings, pseudonyms))
