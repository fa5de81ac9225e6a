"""Whether the audit log is what was written: every file, line by line, and the heads that were noted elsewhere."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.security.audit.chain import files_of, noted
from app.security.audit.events import Kind
from app.security.audit.lines import GENESIS, AuditBroken, Head, digest, dumped, parse


@dataclass(frozen=True)
class Verified:
    """A whole log: its events, its last one, how many holes it tells of, and whether it ends with a stop."""

    events: int
    head: Head
    holes: int
    stopped: bool


def records(path: Path, key: bytes, first: str | None = None) -> Iterator[dict[str, Any]]:
    """The events of all files in their order, each checked; from the file named `first`, where those before it are kept
    elsewhere. Raises AuditBroken, and OSError where there is no log.
    """
    files = files_of(path)
    if not files:
        raise FileNotFoundError(path)
    names = [file.name for file in files]
    if first is not None and first not in names:
        raise AuditBroken("there is no such file", file=first)
    head = None if first is not None else Head()
    before = None if first is not None else "none"
    for file in files[names.index(first) if first is not None else 0 :]:
        reader, first_of_file = _FileReader(file, key, head), True
        for record in reader.records():
            if first_of_file and not reader.old:
                _check_opening(record, before, file.name)
            first_of_file = False
            yield record
        head, before = reader.head, file.name
    if path not in files:
        raise AuditBroken("the file that is written to is not there", file=path.name)


class _FileReader:
    """The records of one file, each checked against the one before it; `head` is that of the last one."""

    def __init__(self, file: Path, key: bytes, head: Head | None) -> None:
        self._file = file
        self._key = key
        self.head = head
        self.line = 0
        self._first = True
        self.old = False
        self._torn = 0

    def records(self) -> Iterator[dict[str, Any]]:
        """Read on. Raises AuditBroken."""
        with self._file.open("rb") as opened:
            for self.line, line in enumerate(opened, start=1):
                record = parse(line) if line.endswith(b"\n") else None
                if record is None:
                    self._torn += len(line.rstrip(b"\n")) or 1  # only an event that tells of it excuses it
                    continue
                if line != dumped(record):
                    raise self._broken("this was changed")
                yield self._checked(record)
        if self._torn:
            raise self._broken("the last line is not whole")

    def _checked(self, record: dict[str, Any]) -> dict[str, Any]:
        given = record.pop("hash")
        if self._first:
            self.old, self._first = "number" not in record, False
        count = record.get("number", (self.head.number if self.head else 0) + 1)
        head = self.head or Head(count - 1, record["previous"])
        if record["previous"] != head.hash or count != head.number + 1:
            raise self._broken("this does not follow the line before it")
        # Whoever lacks the key could write lines as the first release did; they count in a file of that release only.
        if ("number" not in record) is not self.old or given != digest(record, None if self.old else self._key):
            raise self._broken("this was changed")
        if self._torn and record.get("event") != Kind.OPENED:
            if record.get("event") != Kind.TORN or record.get("bytes") != self._torn:
                raise self._broken("the line before this is no record")
            self._torn = 0
        self.head = Head(count, given)
        return {**record, "hash": given}

    def _broken(self, detail: str) -> AuditBroken:
        return AuditBroken(detail, line=self.line, file=self._file.name)


def _check_opening(record: dict[str, Any], before: str | None, file: str) -> None:
    if record.get("event") != Kind.OPENED:
        raise AuditBroken("the file does not begin by naming the one before it", line=1, file=file)
    if before is not None and record.get("before") != before:
        raise AuditBroken(f"the file before it, {record.get('before')}, is not there", line=1, file=file)


def verify(path: Path, key: bytes, heads: Collection[Head] = (), first: str | None = None) -> Verified:
    """Check the whole log, and that each of the `heads`, and the one that is noted beside it, is in it.

    Raises AuditBroken, OSError.
    """
    beside = noted(path, key)
    heads = [*heads, *([beside] if beside else [])]
    wanted = {head.hash: head for head in heads if head.hash != GENESIS}
    events = holes = 0
    head, kind = Head(), ""
    for record in records(path, key, first):
        events += 1
        kind = str(record.get("event", ""))
        if kind == Kind.CUT:
            raise AuditBroken(f"Event {record['number']} says: {record['what']}")
        holes += kind in (Kind.TORN, Kind.LOST)
        head = Head(int(record.get("number", events)), record["hash"])
        wanted.pop(head.hash, None)
    if wanted:
        missing = max(wanted.values(), key=lambda one: one.number)
        number = f"Event {missing.number}" if missing.number else "An event"
        raise AuditBroken(f"{number} was noted elsewhere and is not in the log: its end was cut off or written anew")
    return Verified(events, head, holes, kind == Kind.STOP)


def unproven(path: Path) -> Iterator[dict[str, Any]]:
    """What a log says, whether or not it is whole: lines that are no records are left out. Raises OSError."""
    for file in files_of(path):
        with file.open("rb") as opened:
            yield from (record for line in opened if (record := parse(line)) is not None)
