"""Tables of the documentation that are written by the code which they describe, between marks in the page."""

from collections.abc import Iterable, Mapping, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |\n" for row in (head, *rows)]
    return "".join([lines[0], "|" + "---|" * len(head) + "\n", *lines[1:]])


def rewritten(page: str, tables: Mapping[str, str]) -> str:
    """The page with the tables of now, by their names. Raises ValueError where it has no place for one."""
    for name, text in tables.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no marks of the table {name}")
        page = f"{before}{begin}{text}{end}{after}"
    return page
