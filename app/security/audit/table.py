"""The kinds of events as a table of docs/audit.md: `python -m app.security.audit.table docs/audit.md` writes it."""

import sys
from pathlib import Path

from app.security.audit.events import KINDS

_BEGIN, _END = "<!-- events: begin -->\n", "<!-- events: end -->"
_COMMON = "time, event, who, what, outcome, number, previous, hash"


def table() -> str:
    """The table in Markdown."""
    lines = ["| event | DICOM event id | type | action | fields besides | written |", "|---|---|---|---|---|---|"]
    for kind, told in KINDS.items():
        kind_of = f"{told.type.value} {told.type.meaning}" if told.type else ""
        code = f"{told.event.value} {told.event.meaning}"
        lines.append(f"| `{kind}` | {code} | {kind_of} | {told.action} | {', '.join(told.fields)} | {told.written} |")
    return "\n".join([f"Every event has: {_COMMON}.", "", *lines, ""])


def rewritten(page: str) -> str:
    """The page with the table of now. Raises ValueError where it has no place for it."""
    before, _, rest = page.partition(_BEGIN)
    _, found, after = rest.partition(_END)
    if not found:
        raise ValueError("the page has no marks of the table")
    return f"{before}{_BEGIN}{table()}{_END}{after}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(rewritten(target.read_text()))
