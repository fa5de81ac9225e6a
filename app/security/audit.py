"""The audit log: one JSON line an event, each with the hash of the one before it, so that no line can be changed or
taken out unnoticed. Lines cut off at the end show only against a hash that was noted elsewhere.
"""

import fcntl
import hashlib
import json
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from app.errors import CxrError
from app.queues import batches
from app.security.refusals import Event, Refusals, event
from app.telemetry.metrics import AUDIT_FAILURES

log = structlog.get_logger(__name__)

GENESIS = "0" * 64
_BATCH = 256
# Some megabytes; a folder that stays away this long is known by its alert.
_MOST_HELD = 20_000
_TAIL = 65_536
_CLOSE_SECONDS = 10.0
_LINGER_SECONDS = 0.05


def audit_file(state_dir: Path) -> Path:
    """Where a state folder's audit log is."""
    return state_dir / "audit" / "audit.jsonl"


class AuditBroken(CxrError):
    """The audit log is not what was written; `line` is the first that shows it."""

    code = "audit_broken"

    def __init__(self, detail: str, *, code: str | None = None, line: int = 0) -> None:
        super().__init__(f"Line {line}: {detail}", code=code)
        self.line = line


class AuditLog:
    """Appends events on a thread of its own, synced in batches. Several processes may share the file.

    Events that cannot be written are held, up to a bound, and written later; what was more is one event, `lost`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._held: list[Event] = []
        self._lost = 0
        self._refusals = Refusals(self._events.put)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._thread = threading.Thread(target=self._write_batches, name="audit", daemon=True)
        self._thread.start()

    def note(self, who: str, what: str, outcome: str, **facts: str | int) -> None:
        """Append an event: a client's id, what it did, how it ended; `facts` hold no patient data."""
        self._events.put(event(who, what, outcome, **facts))

    def refuse(self, source: str, what: str, outcome: str, **facts: str | int) -> None:
        """Append that nobody known, at an address, was refused. Many of one second are one event with their number:
        whoever knocks must not fill the disk.
        """
        self._refusals.add(source, event("unknown", what, outcome, source=source, **facts))

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
            lost = [event("service", "lost", "not written", events=self._lost)] if self._lost else []
            try:
                append(self._path, [*self._held, *lost])
            except OSError as error:
                AUDIT_FAILURES.inc(len(batch))
                log.error("audit not written", events=len(self._held) + self._lost, error=type(error).__name__)
            else:
                self._held, self._lost = [], 0


def append(path: Path, events: list[dict[str, Any]]) -> None:
    """Append events under a lock and sync them. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        previous = _last_hash(file)
        lines = []
        for event in events:
            record = {**event, "previous": previous}
            previous = _digest(record)
            lines.append(json.dumps({**record, "hash": previous}, separators=(",", ":")) + "\n")
        file.write("".join(lines).encode())
        file.flush()
        os.fsync(file.fileno())


def _digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _last_hash(file: BinaryIO) -> str:
    """The hash of the last whole line; what a crash left of a line after it, which was never synced, is cut off."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        size -= len(tail) - whole
        file.truncate(size)
    file.seek(size)
    lines = tail[:whole].splitlines()
    if not lines:
        return GENESIS
    try:
        return str(json.loads(lines[-1])["hash"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return hashlib.sha256(lines[-1]).hexdigest()  # `verify` finds the line; the log goes on


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The events in their order, each checked. Raises AuditBroken, OSError."""
    previous = GENESIS
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line)
                given = record.pop("hash")
                linked = record["previous"]
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise AuditBroken("this is no record", line=number) from None
            if linked != previous:
                raise AuditBroken("this does not follow the line before it", line=number)
            if given != _digest(record):
                raise AuditBroken("this was changed", line=number)
            previous = given
            yield {**record, "hash": given}
