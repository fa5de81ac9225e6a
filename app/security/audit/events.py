"""The kinds of events, with their codes of PS3.15 A.5.3: this table is what docs/audit.md shows."""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.security.identity import Pseudonyms

Event = dict[str, Any]


class Kind(StrEnum):
    """What happened. The values stand in the log as `event`."""

    START = "start"
    STOP = "stop"
    QUERY = "query"
    RETRIEVED = "instances retrieved"
    RECEIVED = "instances received"
    READ = "instances read"
    WRITTEN = "documents written"
    DELIVERED = "documents delivered"
    NOTIFIED = "webhook sent"
    DELETED = "study deleted"
    EXPIRED = "removed by age"
    JOB_CHANGED = "job changed"
    INFERENCE = "inference"
    REFUSED = "refused"
    RESTRICTED = "restricted function"
    NODE_REFUSED = "node refused"
    ECHO = "echo"
    KEYS_CHANGED = "keys changed"
    KEYS_LISTED = "keys listed"
    BACKED_UP = "backup"
    AUDIT_READ = "audit log used"
    OPENED = "log opened"
    TORN = "line torn"
    CUT = "end missing"
    LOST = "events lost"
    NOT_SENT = "events not sent"


@dataclass(frozen=True)
class Code:
    """A code of the DICOM terminology (PS3.16 D)."""

    value: str
    meaning: str


@dataclass(frozen=True)
class Description:
    """How a kind is told to others: its codes, the action (PS3.15 A.5.1: C, R, U, D, E), what it holds and where it is
    written.
    """

    event: Code
    action: str
    fields: tuple[str, ...]
    written: str
    type: Code | None = None


_ACTIVITY = Code("110100", "Application Activity")
_AUDIT_LOG_USED = Code("110101", "Audit Log Used")
_ACCESSED = Code("110103", "DICOM Instances Accessed")
_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
_STUDY_DELETED = Code("110105", "DICOM Study Deleted")
_EXPORT = Code("110106", "Export")
_NETWORK_ENTRY = Code("110108", "Network Entry")
_PROCEDURE_RECORD = Code("110111", "Procedure Record")
_QUERY = Code("110112", "Query")
_ALERT = Code("110113", "Security Alert")
_AUTHENTICATION = Code("110114", "User Authentication")

_NODE_AUTHENTICATION = Code("110126", "Node Authentication")
_RESTRICTED_FUNCTION = Code("110132", "Use of Restricted Function")
_STOPPED, _STARTED = Code("110133", "Audit Recording Stopped"), Code("110134", "Audit Recording Started")

_HTTP = ("source", "request_id")
_DATA = ("studies", "patients", "instances")
_OPERATOR = ("account", "pid")

KINDS: Mapping[Kind, Description] = {
    Kind.START: Description(
        _ACTIVITY, "E", ("node", "version", "settings"), "start of the service", Code("110120", "Application Start")
    ),
    Kind.STOP: Description(
        _ACTIVITY, "E", ("node",), "end of the service; the last line of its run", Code("110121", "Application Stop")
    ),
    Kind.QUERY: Description(_QUERY, "E", (*_DATA, "keys", *_HTTP), "QIDO-RS; list of jobs"),
    Kind.RETRIEVED: Description(_TRANSFERRED, "R", (*_DATA, *_HTTP), "WADO-RS; a job's detail or report"),
    Kind.RECEIVED: Description(_TRANSFERRED, "C", (*_DATA, *_HTTP), "STOW-RS, C-STORE"),
    Kind.READ: Description(_ACCESSED, "R", (*_DATA, "job"), "a study's workflow reads an image"),
    Kind.WRITTEN: Description(_ACCESSED, "C", (*_DATA, "job"), "a study's workflow writes documents"),
    Kind.DELIVERED: Description(_TRANSFERRED, "R", (*_DATA, "job", "destination"), "delivery to a destination"),
    Kind.NOTIFIED: Description(_EXPORT, "R", ("studies", "job"), "the webhook's message of a job"),
    Kind.DELETED: Description(_STUDY_DELETED, "D", (*_DATA, *_HTTP, *_OPERATOR), "DELETE, `cxr studies delete`"),
    Kind.EXPIRED: Description(_STUDY_DELETED, "D", _DATA, "retention"),
    Kind.JOB_CHANGED: Description(_PROCEDURE_RECORD, "U", (*_DATA, *_HTTP), "cancel, release and retry of a job"),
    Kind.INFERENCE: Description(
        _ACCESSED, "E", _HTTP, "`/v1/reports`, `answers`, `findings`, `evidence`, `images`, `chat`"
    ),
    Kind.REFUSED: Description(
        _AUTHENTICATION, "E", (*_HTTP, "requests"), "401; many of a second and source are one", Code("110122", "Login")
    ),
    Kind.RESTRICTED: Description(
        _ALERT, "E", (*_HTTP, *_OPERATOR), "403; `screen=off`; what is kept apart, listed", _RESTRICTED_FUNCTION
    ),
    Kind.NODE_REFUSED: Description(
        _ALERT, "E", ("source", "ae", "requests"), "an association or a TLS handshake refused", _NODE_AUTHENTICATION
    ),
    Kind.ECHO: Description(_NETWORK_ENTRY, "E", ("source",), "C-ECHO", Code("110124", "Attach")),
    Kind.KEYS_CHANGED: Description(
        _ALERT,
        "U",
        ("key", "name", *_OPERATOR),
        "`cxr keys create`, `rotate`, `revoke`",
        Code("110137", "User Security Attributes Changed"),
    ),
    Kind.KEYS_LISTED: Description(_ALERT, "R", _OPERATOR, "`cxr keys list`", _RESTRICTED_FUNCTION),
    Kind.BACKED_UP: Description(_EXPORT, "R", _OPERATOR, "`cxr backup`, `cxr restore`"),
    Kind.AUDIT_READ: Description(_AUDIT_LOG_USED, "R", _OPERATOR, "`cxr audit verify`, `cxr audit who`"),
    Kind.OPENED: Description(
        _ALERT, "E", ("before", "before_hash"), "first line of a file: the file before it", _STARTED
    ),
    Kind.TORN: Description(_ALERT, "E", ("bytes",), "a line that was not whole, found at the next event", _STOPPED),
    Kind.CUT: Description(_ALERT, "E", (), "the end of the log is not where it was noted", _STOPPED),
    Kind.LOST: Description(_ALERT, "E", ("events",), "events that could be neither written nor held", _STOPPED),
    Kind.NOT_SENT: Description(
        _ALERT, "E", ("events",), "events that are in the log, and could be neither sent nor held for it", _STOPPED
    ),
}


def event(kind: Kind, who: str, what: str, outcome: str, **facts: Any) -> Event:
    """An event of this moment; facts that say nothing are left out."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    held = {name: value for name, value in facts.items() if value not in (None, "", [], ())}
    return {"time": now, "event": kind, "who": who, "what": what, "outcome": outcome, **held}


class DataSubjects:
    """Pseudonyms of studies and patients: the same on this installation, and found by nobody without its secret."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms

    def study(self, uid: str) -> str:
        """What stands for a Study Instance UID."""
        return self._pseudonyms(f"study {uid}")

    def patient(self, identity: str) -> str:
        """What stands for a Patient ID."""
        return self._pseudonyms(f"patient {identity.strip()}")

    def facts(self, studies: Iterable[str], patients: Iterable[str]) -> dict[str, list[str]]:
        """Both, each once, as an event holds them."""
        return {
            "studies": sorted({self.study(uid) for uid in studies if uid}),
            "patients": sorted({self.patient(one) for one in patients if one.strip()}),
        }
