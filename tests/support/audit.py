"""Audit logs for tests."""

from pathlib import Path
from typing import Any

from app.security.audit import AuditLog, Kind, audit_file, records
from app.security.audit.chain import LOG
from app.security.audit.events import event
from app.security.identity import Pseudonyms

PSEUDONYMS = Pseudonyms(b"secret")
KEY = PSEUDONYMS.key(LOG)


def written(path: Path, count: int = 5, **options: Any) -> list[str]:
    """Write events by a log of its own; returns the lines of the file."""
    log = AuditLog(path, PSEUDONYMS, **options)
    for number in range(count):
        log.note(Kind.INFERENCE, "key:1", "POST /v1/reports", "200", request_id=str(number))
    log.close()
    return path.read_text().splitlines()


def an_event(number: int) -> dict[str, Any]:
    """An event that is told from others by its number."""
    return event(Kind.INFERENCE, "x", "POST /v1/reports", "200", request_id=str(number))


def events_in(path: Path, key: bytes = KEY) -> list[dict[str, Any]]:
    """The events of a log that is whole, those that begin files left out."""
    return [one for one in records(path, key) if one.get("event") != Kind.OPENED]


def events_of(state_dir: Path) -> list[dict[str, Any]]:
    """The events of a state folder's log."""
    return events_in(audit_file(state_dir), Pseudonyms.from_state_dir(state_dir).key(LOG))
