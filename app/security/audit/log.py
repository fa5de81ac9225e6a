"""The audit log as the service writes it: on a thread, in batches, held while the disk does not take them."""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import structlog

from app.queues import batches
from app.security.audit.chain import LOG, MOST_BYTES, append, note
from app.security.audit.events import DataSubjects, Event, Kind, event
from app.security.audit.lines import Head
from app.security.audit.refusals import Refusals
from app.security.identity import Pseudonyms
from app.telemetry.metrics import AUDIT_EVENTS, AUDIT_FAILURES

log = structlog.get_logger(__name__)

Anchor = Callable[[Head], None]
Export = Callable[[list[Event]], None]
_BATCH = 256
# Some megabytes; a folder that stays away this long is known by its alert.
_MOST_HELD = 20_000
_CLOSE_SECONDS = 10.0
_LINGER_SECONDS = 0.05
_ANCHOR_SECONDS = 1.0


class AuditLog:
    """Appends events in synced batches. Several processes may share the file.

    Events that cannot be written are held, up to a bound, and written later; what was more is one event, `lost`.
    """

    def __init__(self, path: Path, pseudonyms: Pseudonyms, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._key = pseudonyms.key(LOG)
        self.name = pseudonyms(LOG)
        self._most_bytes = most_bytes
        self._subjects = DataSubjects(pseudonyms)
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._held: list[Event] = []
        self._lost = 0
        self._refusals = Refusals(self._events.put)
        self._anchored = 0.0
        self._timer: threading.Timer | None = None
        self._head: Head | None = None
        # What notes the last event elsewhere, about once a second, and what is given every event that was written.
        self.anchor: Anchor | None = None
        # An event that the log is to have, by what is noted elsewhere.
        self.expected: Head | None = None
        self.export: Export | None = None
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._thread = threading.Thread(target=self._write_batches, name="audit", daemon=True)
        self._thread.start()

    def note(
        self,
        kind: Kind,
        who: str,
        what: str,
        outcome: str,
        *,
        studies: Iterable[str] = (),
        patients: Iterable[str] = (),
        **facts: Any,
    ) -> None:
        """Append an event: a client's id, what it did, how it ended. `studies` and `patients` are UIDs and Patient IDs,
        of which pseudonyms are kept; `facts` hold no patient data.
        """
        self._events.put(event(kind, who, what, outcome, **self._subjects.facts(studies, patients), **facts))

    def refuse(self, kind: Kind, source: str, what: str, outcome: str, **facts: str | int) -> None:
        """Append that nobody known, at an address, was refused. Many of one second are one event with their number:
        whoever knocks must not fill the disk.
        """
        self._refusals.add(source, event(kind, "unknown", what, outcome, source=source, **facts))

    def hand_on_refusals(self) -> None:
        """Do not wait for the end of the second."""
        self._refusals.close()

    def close(self) -> None:
        """Write what waits, then stop."""
        self.hand_on_refusals()
        self._events.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _write_batches(self) -> None:
        # What follows at once goes along: opening, reading the last hash and syncing cost more than an event.
        for batch in batches(self._events, _BATCH, linger_seconds=_LINGER_SECONDS):
            self._held += batch
            if len(self._held) > _MOST_HELD:
                self._lost += len(self._held) - _MOST_HELD
                del self._held[_MOST_HELD:]
            lost = [event(Kind.LOST, "service", "not written", "lost", events=self._lost)] if self._lost else []
            due = [*self._held, *lost]
            try:
                known = [head for head in (self._head, self.expected) if head is not None]
                self._head = append(self._path, due, self._key, self._most_bytes, known, notes=False)
            except OSError as error:
                AUDIT_FAILURES.inc(len(batch))
                log.error("audit not written", events=len(self._held) + self._lost, error=type(error).__name__)
            else:
                self._held, self._lost, self.expected = [], 0, None
                AUDIT_EVENTS.set(self._head.number)
                self._tell(due)
        self._note_head()

    def _tell(self, events: list[Event]) -> None:
        assert self._head is not None
        wait = self._anchored + _ANCHOR_SECONDS - time.monotonic()
        if wait <= 0.0:
            self._note_head()
        elif self._timer is None:
            self._timer = threading.Timer(wait, self._note_head)
            self._timer.daemon = True
            self._timer.start()
        if self.export is not None:
            # Who has the last event's hash elsewhere can tell that the file was cut.
            events[-1] = {**events[-1], "number": self._head.number, "hash": self._head.hash}
            self.export(events)

    def _note_head(self) -> None:
        """Note the last event outside of the file."""
        timer, self._timer, self._anchored = self._timer, None, time.monotonic()
        if timer is not None:
            timer.cancel()
        if self._head is None:
            return
        try:
            note(self._path, self._head, self._key)
            if self.anchor is not None:
                self.anchor(self._head)
        except Exception as error:  # a database that is away must not end the log
            log.error("the audit log's head was not noted", error=type(error).__name__)
