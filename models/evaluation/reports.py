"""Generated reports against the labels of the manifest, and against the radiologist's text where there is one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.conditions import BACTERIAL, NORMAL, PNEUMONIA, VIRAL, stated_condition
from models.evaluation.statistics import balanced_accuracy, macro_f1, micro_f1, scored
from models.evaluation.subject import Subject
from models.evaluation.text_scores import score_texts
from models.generate import write
from models.labels import stated_labels

THREE = (NORMAL, BACTERIAL, VIRAL)
_EXAMPLES = 6
_FEWEST = 5


def pneumonia_or_normal(condition: str | None) -> str | None:
    """`normal`, `pneumonia`, or None."""
    return condition if condition in (None, NORMAL) else "pneumonia" if condition in PNEUMONIA else None


def _reports(subject: Subject, rows: Sequence[int], max_tokens: int) -> list[str]:
    prompts = subject.bundle.prompts
    asked = [prompts.report(subject.prompt_codes(row)) for row in rows]
    return write(subject.llm, subject.bundle.vocabulary, asked, max_tokens)


def finding_scores(truth: Sequence[frozenset[str]], stated: Sequence[frozenset[str]]) -> dict[str, Any]:
    """Micro and macro F1 over every label that at least five radiographs have, one yes/no decision each."""
    labels = sorted({label for one in truth for label in one if sum(label in other for other in truth) >= _FEWEST})
    counts = {
        label: (
            sum(label in t and label in s for t, s in zip(truth, stated, strict=True)),
            sum((label in t) != (label in s) for t, s in zip(truth, stated, strict=True)),
        )
        for label in labels
    }
    f1 = {label: round(2 * hits / max(1, 2 * hits + wrong), 3) for label, (hits, wrong) in counts.items()}
    hits, wrong = (sum(column) for column in zip(*counts.values(), strict=True)) if counts else (0, 0)
    return {
        "micro_f1": round(2 * hits / max(1, 2 * hits + wrong), 3),
        "macro_f1": round(sum(f1.values()) / max(1, len(f1)), 3),
        "by_label": f1,
    }


def evaluate_reports(
    subject: Subject, adapters: Sequence[tuple[str, Path]] = (), max_tokens: int = 96
) -> dict[str, Any]:
    """Labels read from a greedy report of every labelled radiograph. A report that states none counts as wrong.

    `adapters` are (name, weights) of the field's scores, for radiographs that have a radiologist's text.
    """
    rows = [int(row) for row in subject.rows if subject.record(row).labels]
    texts = _reports(subject, rows, max_tokens)
    stated = [stated_condition(text) for text in texts]
    conditions = [subject.record(row).condition or "" for row in rows]
    two = [
        (str(pneumonia_or_normal(t)), pneumonia_or_normal(s))
        for t, s in zip(conditions, stated, strict=True)
        if t in THREE
    ]
    three = [(t, s) for t, s in zip(conditions, stated, strict=True) if t in THREE]
    figures: dict[str, Any] = {**subject.about(), "labelled": len(rows)}
    if three:
        truth, found = zip(*three, strict=True)
        figures["normal_or_pneumonia_balanced_accuracy"] = scored(balanced_accuracy, *zip(*two, strict=True))
        figures["three_kinds_macro_f1"] = scored(macro_f1, truth, found)
        figures["three_kinds_micro_f1"] = scored(micro_f1, truth, found)
        figures["three_kinds_balanced_accuracy"] = scored(balanced_accuracy, truth, found)
    figures["findings"] = finding_scores(
        [frozenset(subject.record(row).labels) for row in rows], [stated_labels(text) for text in texts]
    )
    written = [i for i, row in enumerate(rows) if subject.record(row).findings or subject.record(row).impression]
    references = [f"{subject.record(rows[i]).findings} {subject.record(rows[i]).impression}".strip() for i in written]
    figures["text_scores"] = [
        score_texts(name, weights, [texts[i] for i in written], references) for name, weights in adapters
    ]
    step = max(1, len(rows) // _EXAMPLES)
    figures["examples"] = [{"label": conditions[i], "report": texts[i]} for i in range(0, len(rows), step)][:_EXAMPLES]
    return figures
