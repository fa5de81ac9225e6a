"""The sections of a report's text, and its sentences."""

import re

_HEADING = re.compile(r"^(FINDINGS|IMPRESSION):\s*", re.IGNORECASE | re.MULTILINE)
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")


def sections(text: str) -> dict[str, str | None]:
    """`findings` and `impression` of a report, None where it has no such heading."""
    named = dict(_passages(text))
    return {"findings": named.get("findings"), "impression": named.get("impression")}


def sentences(text: str) -> list[tuple[str | None, str]]:
    """The sentences of a report in order, each behind its section: `findings`, `impression`, or None before both."""
    return [
        (section, sentence.strip())
        for section, passage in _passages(text)
        for sentence in _BETWEEN_SENTENCES.split(passage)
        if re.search(r"\w", sentence)
    ]


def _passages(text: str) -> list[tuple[str | None, str]]:
    first, *pieces = _HEADING.split(text)
    headed = zip(pieces[::2], pieces[1::2], strict=True)
    return [(None, first.strip()), *((name.lower(), body.strip()) for name, body in headed)]
