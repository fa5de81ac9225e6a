"""Answers against the questions that the manifest can answer."""

from random import Random
from typing import Any

from models.data.dataset import DataError, QuestionAnswer
from models.data.wording import question_answers
from models.evaluation.statistics import accuracy, scored
from models.evaluation.subject import Subject
from models.generate import write

_MOST = 600


def _yes_or_no(answer: str) -> str | None:
    word = answer.strip().lower().split(",")[0].split(".")[0].strip()
    return word if word in ("yes", "no") else None


def _said(answer: str, given: str) -> str | None:
    """What an answer says, as the known answer says it; None where it says nothing like it."""
    if _yes_or_no(answer):
        return _yes_or_no(given)
    return answer if given.strip().lower() == answer.strip().lower() else None


def _chosen(subject: Subject, seed: int) -> list[tuple[int, QuestionAnswer]]:
    """Every kind of question once a radiograph; yes/no questions with as many yes as no within their kind."""
    rng = Random(seed)
    asked: dict[tuple[str, str | None], list[tuple[int, QuestionAnswer]]] = {}
    for row in subject.rows:
        for pair in question_answers(subject.record(int(row)), rng):
            asked.setdefault((pair.kind, _yes_or_no(pair.answer)), []).append((int(row), pair))
    chosen: list[tuple[int, QuestionAnswer]] = []
    for kind in sorted({kind for kind, _ in asked}):
        yes, no = asked.get((kind, "yes"), []), asked.get((kind, "no"), [])
        count = min(len(yes), len(no), _MOST // 2)
        chosen += rng.sample(yes, count) + rng.sample(no, count)
        other = asked.get((kind, None), [])
        chosen += rng.sample(other, min(len(other), _MOST // 2))
    return chosen


def evaluate_vqa(subject: Subject, seed: int = 0) -> dict[str, Any]:
    """Accuracy by kind of question, and over all yes/no questions. Greedy; an answer to something else is wrong."""
    chosen = _chosen(subject, seed)
    if not chosen:
        raise DataError(f"split {subject.split} states nothing that a question could be asked about")
    prompts = subject.bundle.prompts
    asked = [prompts.answer(subject.prompt_codes(row), pair.question) for row, pair in chosen]
    given = write(subject.llm, subject.bundle.vocabulary, asked, max_tokens=24)
    truth = [_yes_or_no(pair.answer) or pair.answer for _, pair in chosen]
    stated = [_said(pair.answer, text) for (_, pair), text in zip(chosen, given, strict=True)]
    kinds = [pair.kind for _, pair in chosen]

    def figure(rows: list[int]) -> dict[str, object]:
        return scored(accuracy, [truth[i] for i in rows], [stated[i] for i in rows])

    closed = [i for i, answer in enumerate(truth) if answer in ("yes", "no")]
    return {
        **subject.about(),
        "yes_no": figure(closed) if closed else None,
        "by_kind": {kind: figure([i for i, k in enumerate(kinds) if k == kind]) for kind in sorted(set(kinds))},
    }
