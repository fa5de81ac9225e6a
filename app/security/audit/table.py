"""The kinds of events as a table of docs/audit.md: `python -m app.security.audit.table docs/audit.md` writes it."""

import sys
from pathlib import Path

from app.doc_tables import rewritten, table
from app.security.audit.events import KINDS

_COMMON = "time, event, who, what, outcome, number, previous, hash"
_HEAD = ("event", "DICOM event id", "type", "action", "fields besides", "written")


def tables() -> dict[str, str]:
    """The page's tables in Markdown."""
    rows = []
    for kind, told in KINDS.items():
        kind_of = f"{told.type.value} {told.type.meaning}" if told.type else ""
        code = f"{told.event.value} {told.event.meaning}"
        rows.append((f"`{kind}`", code, kind_of, told.action, ", ".join(told.fields), told.written))
    return {"events": f"Every event has: {_COMMON}.\n\n{table(_HEAD, rows)}"}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(rewritten(target.read_text(), tables()))
