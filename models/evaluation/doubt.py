"""Whether the samples of a report support its right statements more than its wrong ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models.agreement import agreement, claims_of
from models.data.dataset import DataError, Record
from models.data.truth import presence
from models.evaluation.statistics import DRAWS, auroc
from models.evaluation.subject import Subject
from models.generate import write

# Of one film: whether each of its sentences is right, and its support.
Judged = Sequence[tuple[bool, float]]


def is_right(record: Record, sentence: str) -> bool | None:
    """Whether a sentence is right: all that it states of labels is so. None where it states nothing that is known."""
    known = [presence(record, label) for label, _ in claims_of(sentence)]
    stated = [there for _, there in claims_of(sentence)]
    agrees = [one == other for one, other in zip(known, stated, strict=True) if one is not None]
    if not agrees or (all(agrees) and len(agrees) < len(stated)):
        return None
    return all(agrees)


def separation(films: Sequence[Judged]) -> dict[str, Any]:
    """The AUROC of the support of right sentences over that of wrong ones, with a 95 % bootstrap interval over films,
    whose sentences depend on each other; both have to occur.
    """
    rng, values = np.random.default_rng(0), []
    for _ in range(DRAWS):
        value = _auroc([films[place] for place in rng.integers(0, len(films), len(films))])
        if value is not None:
            values.append(value)
    low, high = np.percentile(values, (2.5, 97.5)) if values else (np.nan, np.nan)
    value = _auroc(films)
    return {
        "value": None if value is None else round(value, 3),
        "interval": None if value is None else [round(float(low), 3), round(float(high), 3)],
        "count": sum(map(len, films)),
    }


def _auroc(films: Sequence[Judged]) -> float | None:
    judged = [one for film in films for one in film]
    right = np.array([support for is_so, support in judged if is_so])
    wrong = np.array([support for is_so, support in judged if not is_so])
    return auroc(right, wrong) if len(right) and len(wrong) else None


def _means(films: Sequence[Judged]) -> Mapping[str, float | None]:
    found: dict[str, float | None] = {}
    for name, wanted in (("right", True), ("wrong", False)):
        supports = [support for film in films for is_so, support in film if is_so is wanted]
        found[name] = round(float(np.mean(supports)), 3) if supports else None
    return found


def evaluate_doubt(subject: Subject, films: int, samples: int) -> dict[str, Any]:
    """Greedy reports on so many labelled frontal films of the split, drawn at random, and their samples, as the service
    draws them. Raises DataError where no film is labelled.
    """
    known = [int(row) for row in subject.rows if subject.record(int(row)).labels and subject.record(int(row)).frontal]
    if not known:
        raise DataError(f"the split {subject.split} has no labelled frontal film")
    chosen = np.random.default_rng(0).permutation(known)[:films].tolist()
    prompts, vocabulary = subject.bundle.prompts, subject.bundle.vocabulary
    longest = subject.bundle.manifest.decoding.report.max_tokens
    asked = [prompts.report(subject.prompt_codes(row)) for row in chosen]
    reports = write(subject.llm, vocabulary, asked, longest)
    further = write(subject.llm, vocabulary, [one for one in asked for _ in range(samples)], longest, sampled=0)
    judged: list[Judged] = []
    doubts: list[tuple[bool, float]] = []
    for place, (row, report) in enumerate(zip(chosen, reports, strict=True)):
        found = agreement(report, further[place * samples : (place + 1) * samples])
        record = subject.record(row)
        sentences = [(is_right(record, one.text), one.support) for one in found.sentences]
        told = [(right, support) for right, support in sentences if right is not None]
        judged.append(told)
        if told:
            doubts.append((all(right for right, _ in told), -found.doubt))
    return {
        **subject.about(),
        "films": len(chosen),
        "samples": samples,
        "sentence_support_auroc": separation(judged),
        "mean_support": _means(judged),
        "report_doubt_auroc": separation([[one] for one in doubts]),
        "reports_without_a_wrong_sentence": sum(right for right, _ in doubts),
    }
