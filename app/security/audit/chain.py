"""The files of the audit log: JSON lines, each with an HMAC over itself and the line before it, under a key that is
derived from the installation's secret. Without the key nobody can make a chain anew.

A file that has grown large is put aside under a number, and the next one begins by naming it.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from app.security.audit.events import Event, Kind, event
from app.security.audit.lines import AuditBroken, Head, digest, dumped, parse
from app.security.identity import Pseudonyms

LOG = "audit log"
MOST_BYTES = 64_000_000
# Of an event that names a thousand studies; most have a few hundred bytes.
_TAIL, _SHORT_TAIL = 1_048_576, 8_192


def audit_file(state_dir: Path) -> Path:
    """Where a state folder's audit log is written; files that were put aside lie beside it."""
    return state_dir / "audit" / "audit.jsonl"


def files_of(path: Path) -> list[Path]:
    """All files of a log, oldest first."""
    aside = sorted(path.parent.glob(f"{path.stem}-[0-9]*{path.suffix}"))
    return [*aside, *([path] if path.exists() else [])]


def key_of(state_dir: Path) -> bytes:
    """The key of a state folder's log, whose secret is made at the first call. Raises OSError."""
    return Pseudonyms.from_state_dir(state_dir).key(LOG)


def append(
    path: Path,
    events: Sequence[Event],
    key: bytes | None = None,
    most_bytes: int = MOST_BYTES,
    known: Sequence[Head] = (),
    *,
    notes: bool = True,
) -> Head:
    """Append events under a lock and sync them; returns the last one's head. Without a key, that of the state folder
    which the log is in counts. `known` are events that the log has had: where it has not, an event says so first.
    Without `notes` the caller notes the last event by itself.

    Raises OSError.
    """
    key = key_of(path.parent.parent) if key is None else key
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(path):
        if path.exists() and (path.stat().st_size > most_bytes or _is_of_the_first_release(path)):
            _put_aside(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            head, torn = _last(file)
            due = list(events)
            if torn:
                due.insert(0, event(Kind.TORN, "service", "a line was not whole", "found", bytes=torn))
            if head is None:
                due.insert(0, _opening(path))
                head = _head_before(path)
            # Where it ends as this process has left it, nothing is missing.
            if head not in known and (missing := _missing(path, head, key, known)):
                due.insert(len(due) - len(events), event(Kind.CUT, "service", missing, "found"))
            lines = []
            for one in due:
                record = {**one, "number": head.number + 1, "previous": head.hash}
                head = Head(head.number + 1, digest(record, key))
                lines.append(dumped({**record, "hash": head.hash}))
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        if notes:
            note(path, head, key)
    return head


def note(path: Path, head: Head, key: bytes) -> None:
    """Note the last event beside the log, for an installation without a database, and for commands."""
    record: Event = {"number": head.number, "last": head.hash}
    fresh = path.with_suffix(".head.new")
    with fresh.open("w") as file:
        file.write(json.dumps({**record, "hash": digest(record, key)}))
        file.flush()
        os.fsync(file.fileno())  # or a power cut leaves an empty one
    fresh.replace(path.with_suffix(".head"))


def _missing(path: Path, head: Head, key: bytes, known: Sequence[Head]) -> str | None:
    """What is wrong with the log's end before anything is written to it, in words."""
    try:
        before = noted(path, key)
    except AuditBroken as broken:
        return broken.detail if head.number else None
    had = [one for one in (before, *known) if one is not None]
    last = max((one.number for one in had), default=0)
    if last > head.number:
        return f"{last - head.number} events before this one were cut off"
    # An old copy that others have written on to has the number, with another event.
    replaced = any(_is_replaced(path, head, one) for one in had)
    return "events before this one were replaced" if replaced else None


def _is_replaced(path: Path, head: Head, one: Head) -> bool:
    if one.number == head.number:  # as always, but where several processes write
        return one != head
    return _hash_of(path, one.number) not in (None, one.hash)


def _hash_of(path: Path, number: int) -> str | None:
    """The hash of an event among the last of a log; None where it lies further back."""
    if number < 1 or not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        for line in reversed(file.read().splitlines()):
            record = parse(line)
            if record is not None and record.get("number") == number:
                return str(record["hash"])
    return None


def noted(path: Path, key: bytes) -> Head | None:
    """The last event as it is noted beside the log; None where no event of this release was written.

    Raises AuditBroken where the note is missing or was not written here.
    """
    place = path.with_suffix(".head")
    try:
        record = json.loads(place.read_bytes())
        given = record.pop("hash")
        if given != digest(record, key):
            raise AuditBroken("it was changed", file=place.name)
        return Head(int(record["number"]), str(record["last"]))
    except FileNotFoundError:
        if any(file.stat().st_size and not _is_of_the_first_release(file) for file in files_of(path)):
            raise AuditBroken("the note of the last event is not there", file=place.name) from None
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise AuditBroken("it is no note of the last event", file=place.name) from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Not the log itself, which another process may just be putting aside.
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _last(file: BinaryIO) -> tuple[Head | None, int]:
    """The head of what is written, None where nothing is, and the bytes behind it that are no whole lines.

    Those are set apart as lines of their own: what a crash left, or what somebody cut, stays to be seen.
    """
    tail = _tail_of(file, _SHORT_TAIL)
    if not any(parse(line) for line in tail.splitlines()[-1:]):
        tail = _tail_of(file, _TAIL)
    cut = len(tail) - (tail.rfind(b"\n") + 1)
    if cut:
        file.write(b"\n")
    torn = 0
    for line in reversed(tail.splitlines()):
        record = parse(line)
        if record is not None:
            # A record that lacks its newline alone is whole, and the event tells of the newline.
            return Head(int(record.get("number", 0)), str(record["hash"])), torn or (len(line) if cut else 0)
        torn += len(line)
    return None, torn


def _tail_of(file: BinaryIO, most: int) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - most))
    return file.read()


def _is_of_the_first_release(path: Path) -> bool:
    """Whether the file's chain is of plain SHA-256: its records have no number."""
    with path.open("rb") as file:
        record = parse(file.readline())
    return record is not None and "number" not in record


def _put_aside(path: Path) -> None:
    number = len(files_of(path))
    while (target := path.with_name(f"{path.stem}-{number:06d}{path.suffix}")).exists():
        number += 1
    path.rename(target)


def _head_before(path: Path) -> Head:
    """The last event of the file that was put aside last."""
    aside = [one for one in files_of(path) if one != path]
    if not aside:
        return Head()
    with aside[-1].open("rb") as file:
        file.seek(max(0, aside[-1].stat().st_size - _TAIL))
        last = next((found for line in reversed(file.read().splitlines()) if (found := parse(line))), None)
    if last is None:
        return Head()
    if "number" not in last:
        with aside[-1].open("rb") as file:
            return Head(sum(1 for _ in file), str(last["hash"]))
    return Head(int(last["number"]), str(last["hash"]))


def _opening(path: Path) -> Event:
    aside = [one for one in files_of(path) if one != path]
    before = aside[-1].name if aside else "none"
    return event(Kind.OPENED, "service", "begin a file", "ok", before=before, before_hash=_head_before(path).hash)
