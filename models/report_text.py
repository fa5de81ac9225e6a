"""The sections of a report's text."""

import re

_HEADING = re.compile(r"^(FINDINGS|IMPRESSION):\s*", re.IGNORECASE | re.MULTILINE)


def sections(text: str) -> dict[str, str | None]:
    """`findings` and `impression` of a report, None where it has no such heading."""
    pieces = _HEADING.split(text)
    named = {name.lower(): body.strip() for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}
    return {"findings": named.get("findings"), "impression": named.get("impression")}
