"""Labels that a report states, read from its words."""

import re

from models.conditions import NORMAL, PNEUMONIA, stated_condition
from models.data.dataset import LABELS

_SENTENCE = re.compile(r"[.;\n]")
_NEGATION = re.compile(r"\b(no|not|without|negative for|free of|absence of|resolved)\b")
# Words of one sentence up to here after a negation are negated, unless a contrast ends its scope (NegEx, Chapman 2001).
_CONTRAST = re.compile(r"\b(but|however|except|although)\b")


def stated_labels(text: str) -> frozenset[str]:
    """The names of `LABELS` that the text states as present; `normal` where it says so and states nothing else."""
    found: set[str] = set()
    for sentence in _SENTENCE.split(text.lower()):
        for clause in _CONTRAST.split(sentence):
            negation = _NEGATION.search(clause)
            claimed = clause[: negation.start()] if negation else clause
            found.update(label for label in LABELS if label != NORMAL and _word(label).search(claimed))
    # `bacterial pneumonia` is not also `pneumonia`, nor `pleural effusion` also `effusion`.
    found -= {
        a for a in found for b in found if a != b and (b.endswith(f" {a}") or (a == "pneumonia" and b in PNEUMONIA))
    }
    if found:
        return frozenset(found)
    return frozenset((NORMAL,)) if stated_condition(text) == NORMAL else frozenset()


def _word(label: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(label.lower())}s?\b")
