"""The conditions that the open data's labels distinguish, and which of them a text states."""

import re
from collections.abc import Iterable

from models.negation import affirmed_and_negated

NORMAL = "normal"
BACTERIAL = "bacterial pneumonia"
VIRAL = "viral pneumonia"
COVID = "COVID-19"
PNEUMONIA = (BACTERIAL, VIRAL, COVID)
# One hospital's labels distinguish these; other findings are known to be absent only where labelled.
KINDS = (NORMAL, *PNEUMONIA)
# "bacterial or viral pneumonia" names both.
WORDS = {
    BACTERIAL: r"\bbacterial(?: (?:and|or|nor) viral)? pneumonia",
    VIRAL: r"\bviral(?: (?:and|or|nor) bacterial)? pneumonia",
    COVID: r"\bcovid(?:[- ]?19)?\b",
}
_IMAGE = r"(?:radiograph|x-?ray|film|image|study|exam(?:ination)?)"
_FILM = rf"(?:chest(?: {_IMAGE})?|{_IMAGE})"
_NORMAL = re.compile(
    rf"\b(?:normal|unremarkable|healthy)(?: (?:frontal|lateral|pa|ap|adult|child|p(?:a?e)diatric))* {_FILM}\b"
    rf"|\b(?:it|this|{_FILM}) (?:is|appears|looks) (?:\w+ly |within )?(?:normal|unremarkable|healthy)\b"
    r"|^\W*(?:impression:\s*)?(?:normal|unremarkable)\W*$"
)
# Denied, they say that a chest is normal; a single kind of pneumonia, denied, does not.
_NOTHING = re.compile(
    r"(?<!bacterial )(?<!viral )(?<!-19 )(?<!covid )\bpneumonia"
    r"|\babnormal(?:ity|ities)?\b|\bacute (?:cardiopulmonary|cardiac|pulmonary|intrathoracic|chest)\b"
)
_ABNORMAL = re.compile(r"\babnormal(?:ity|ities)?\b")


def stated_condition(text: str) -> str | None:
    """The one of `KINDS` that a report, an answer or a request states, None where it states none or several."""
    affirmed, negated = affirmed_and_negated(text)
    kinds = [kind for kind in PNEUMONIA if _any(re.compile(WORDS[kind]), affirmed)]
    # COVID-19 is a viral pneumonia.
    if kinds == [VIRAL, COVID]:
        return COVID
    if kinds:
        return kinds[0] if len(kinds) == 1 else None
    return NORMAL if _any(_NORMAL, affirmed) or _any(_NOTHING, negated) else None


def states_abnormal(text: str) -> bool:
    """Whether a text says that a chest is not normal, whatever it names."""
    affirmed, negated = affirmed_and_negated(text)
    return _any(_ABNORMAL, affirmed) or _any(_NORMAL, negated)


def _any(words: re.Pattern[str], passages: Iterable[str]) -> bool:
    return any(words.search(passage) for passage in passages)
