"""The findings that labels of open data name, and which of them a text states, read from its words."""

import re

from models.conditions import BACTERIAL, COVID, NORMAL, PNEUMONIA, VIRAL, stated_condition

# The kinds of the open data, then the 14 findings each of ChestX-ray14 and CheXpert.
LABELS = (
    NORMAL,
    BACTERIAL,
    VIRAL,
    COVID,
    "atelectasis",
    "cardiomegaly",
    "consolidation",
    "edema",
    "effusion",
    "emphysema",
    "enlarged cardiomediastinum",
    "fibrosis",
    "fracture",
    "hernia",
    "infiltration",
    "lung lesion",
    "lung opacity",
    "mass",
    "nodule",
    "pleural effusion",
    "pleural other",
    "pleural thickening",
    "pneumonia",
    "pneumothorax",
    "support devices",
)
_SENTENCE = re.compile(r"[.;\n]")
_NEGATION = re.compile(r"\b(no|not|without|negative for|free of|absence of|resolved)\b")
# Words of one sentence up to here after a negation are negated, unless a contrast ends its scope (NegEx, Chapman 2001).
_CONTRAST = re.compile(r"\b(but|however|except|although)\b")


def stated_labels(text: str) -> frozenset[str]:
    """The names of `LABELS` that the text states as present; `normal` where it says so and states nothing else."""
    present, _ = mentioned_labels(text)
    if present:
        return present
    return frozenset((NORMAL,)) if stated_condition(text) == NORMAL else frozenset()


def mentioned_labels(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names of `LABELS` but `normal` that the text states as present, and those that it states as absent."""
    present: set[str] = set()
    absent: set[str] = set()
    for sentence in _SENTENCE.split(text.lower()):
        for clause in _CONTRAST.split(sentence):
            negation = _NEGATION.search(clause)
            present |= _named(clause[: negation.start()] if negation else clause)
            absent |= _named(clause[negation.end() :]) if negation else set()
    return _most_specific(present), _most_specific(absent)


def is_kind_of(special: str, general: str) -> bool:
    """Whether one label is a special case of another: `bacterial pneumonia` of `pneumonia`."""
    return special != general and (special.endswith(f" {general}") or (general == "pneumonia" and special in PNEUMONIA))


def _named(words: str) -> set[str]:
    return {label for label in LABELS if label != NORMAL and _word(label).search(words)}


def _most_specific(found: set[str]) -> frozenset[str]:
    """`bacterial pneumonia` is not also `pneumonia`, nor `pleural effusion` also `effusion`."""
    return frozenset(found - {general for general in found for special in found if is_kind_of(special, general)})


def _word(label: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(label.lower())}s?\b")
