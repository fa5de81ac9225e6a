"""A line of the audit log: a record, its hash, and the place in the chain that it gives."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from app.errors import CxrError
from app.security.audit.events import Event

GENESIS = "0" * 64


class AuditBroken(CxrError):
    """The audit log is not what was written; `line` of `file` is the first that shows it."""

    code = "audit_broken"

    def __init__(self, detail: str, *, code: str | None = None, line: int = 0, file: str = "") -> None:
        place = f"{file} line {line}: " if file and line else f"{file}: " if file else ""
        super().__init__(f"{place}{detail}", code=code)
        self.line = line


@dataclass(frozen=True)
class Head:
    """The last event of a log: its number since the first, and its hash. Noted elsewhere, it betrays a cut."""

    number: int = 0
    hash: str = GENESIS


def digest(record: Event, key: bytes | None) -> str:
    """The hash of a record: HMAC-SHA256 under `key`, or SHA-256 as the first release wrote it."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(text).hexdigest() if key is None else hmac.new(key, text, hashlib.sha256).hexdigest()


def dumped(record: Event) -> bytes:
    """A record's line, as it is written."""
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def parse(line: bytes) -> dict[str, Any] | None:
    """A line's record, None where it is none."""
    try:
        record = json.loads(line)
        record["hash"], record["previous"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
