"""How far several reports on one image agree: of each sentence of one, the share of the others that state the same.

What a sentence states are the labels that it names as present or absent (`models.labels`), where it names one; else it
states its words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from models.conditions import NORMAL, PNEUMONIA, stated_condition, states_abnormal
from models.labels import LABELS, implies, mentioned_labels, stated_labels
from models.report_text import sentences

LOW_AGREEMENT = "Low agreement between samples of the report."

_NORMAL = re.compile(rf"\b{NORMAL}\b", re.IGNORECASE)
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


def agrees(asked: str, read: str) -> bool | None:
    """Whether a report states what a request asks for: the same condition where both state one, else all that the
    request states of labels. None where neither tells.
    """
    conditions = (stated_condition(asked), stated_condition(read))
    if None not in conditions:
        return conditions[0] == conditions[1]
    claims, known = claims_of(asked), _implied(read)
    if any((label, not there) in known for label, there in claims):
        return False
    return True if claims and claims <= known else None


def claims_of(sentence: str) -> set[Claim]:
    """What a sentence states of labels."""
    present, absent = mentioned_labels(sentence)
    # "No pneumonia" alone says that of pneumonia, not that the chest is normal.
    normal = stated_labels(sentence) == {NORMAL} and (not absent or _NORMAL.search(sentence) is not None)
    claims = {(label, True) for label in present} | {(label, False) for label in absent}
    if normal:
        claims.add((NORMAL, True))
    elif states_abnormal(sentence):
        claims.add((NORMAL, False))
    return claims


def _implied(report: str) -> set[Claim]:
    """What a whole report states of labels, and what follows: bacterial pneumonia is pneumonia and no viral one, where
    there is no pneumonia there is no bacterial one, and in a normal chest there is nothing.
    """
    present, absent = mentioned_labels(report)
    if stated_labels(report) == {NORMAL}:
        return {(NORMAL, True), *((label, False) for label in LABELS if label != NORMAL)}
    there = present | {label for label in LABELS for stated in present if implies(stated, label)}
    # The kinds of pneumonia exclude each other, as in the data's labels.
    excluded = set(PNEUMONIA) - present if present & set(PNEUMONIA) else set()
    special = {label for label in LABELS for stated in absent if implies(label, stated)}
    gone = (absent | special | excluded) - there
    abnormal = {(NORMAL, False)} if present or states_abnormal(report) else set()
    return {(label, True) for label in there} | {(label, False) for label in gone} | abnormal


def _words(sentence: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", sentence.casefold()))
