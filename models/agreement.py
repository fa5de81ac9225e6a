"""How far several reports on one image agree: of each sentence of one, the share of the others that state the same.

What a sentence states are the labels that it names as present or absent (`models.labels`), where it names one; else it
states its words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from models.conditions import NORMAL
from models.labels import LABELS, is_kind_of, mentioned_labels, stated_labels
from models.report_text import sentences

LOW_AGREEMENT = "Low agreement between samples of the report."

# A label, and whether it is present.
Claim = tuple[str, bool]


@dataclass(frozen=True)
class Sentence:
    """A sentence of a report: its section (`findings`, `impression` or None), the share of the samples that state the
    same, from 0 to 1, and whether it names a known label.
    """

    section: str | None
    text: str
    support: float
    labelled: bool


@dataclass(frozen=True)
class Agreement:
    """A report's sentences, and with how many samples they were compared."""

    sentences: tuple[Sentence, ...]
    samples: int

    @property
    def doubt(self) -> float:
        """From 0 to 1: one minus the mean support of the sentences that name a label, or of all where none does.

        A sentence without one has its words alone to be compared by, and other words are no other finding. A report
        without a sentence has nothing to agree with: 1.
        """
        supports = [sentence.support for sentence in self.sentences if sentence.labelled]
        supports = supports or [sentence.support for sentence in self.sentences]
        return 1.0 - fmean(supports) if supports else 1.0


def agreement(report: str, samples: Sequence[str]) -> Agreement:
    """How far `samples`, one at least, agree with `report`. Raises ValueError without samples."""
    if not samples:
        raise ValueError("agreement needs a sample")
    implied = [_implied(sample) for sample in samples]
    worded = [{_words(sentence) for _, sentence in sentences(sample)} for sample in samples]
    found = []
    for section, text in sentences(report):
        claims = claims_of(text)
        if claims:
            support = fmean(claims <= known for known in implied)
        else:
            support = fmean(_words(text) in known for known in worded)
        found.append(Sentence(section, text, support, bool(claims)))
    return Agreement(tuple(found), len(samples))


def claims_of(sentence: str) -> set[Claim]:
    """What a sentence states of labels."""
    present, absent = mentioned_labels(sentence)
    # "No pneumonia" alone says that of pneumonia, not that the chest is normal.
    normal = stated_labels(sentence) == {NORMAL} and (not absent or NORMAL in sentence.lower())
    return {(label, True) for label in (*present, *((NORMAL,) if normal else ()))} | {
        (label, False) for label in absent
    }


def _implied(report: str) -> set[Claim]:
    """What a whole report states of labels, and what follows from it: bacterial pneumonia is pneumonia, where there is
    no pneumonia there is no bacterial one, and in a normal chest there is nothing.
    """
    present, absent = mentioned_labels(report)
    if stated_labels(report) == {NORMAL}:
        return {(NORMAL, True), *((label, False) for label in LABELS if label != NORMAL)}
    general = {label for label in LABELS for stated in present if is_kind_of(stated, label)}
    special = {label for label in LABELS for stated in absent if is_kind_of(label, stated)}
    return {(label, True) for label in present | general} | {(label, False) for label in absent | special}


def _words(sentence: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", sentence.casefold()))
