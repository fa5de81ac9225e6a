"""Texts say what the manifest states, all of it and nothing else."""

from random import Random

import pytest

from models.conditions import COVID, KINDS, NORMAL, stated_condition
from models.data.dataset import QuestionAnswer
from models.data.wording import drawing_request, question_answers, report
from models.labels import stated_labels
from tests.support.training import CONDITIONS, record


@pytest.mark.parametrize("labels", CONDITIONS)
def test_composed_reports_and_requests_state_their_labels_and_only_them(labels: tuple[str, ...]) -> None:
    rng, one = Random(0), record(labels)
    for _ in range(30):
        text = report(one, rng)
        assert drawing_request(one, rng)
        if not labels:
            assert text is None
            continue
        assert text is not None
        assert stated_condition(text) == (labels[0] if labels[0] in KINDS else None)
        assert set(labels) <= stated_labels(text) <= {*labels, "consolidation", "lung opacity"}


@pytest.mark.parametrize("labels", CONDITIONS)
def test_answers_follow_from_the_labels(labels: tuple[str, ...]) -> None:
    for seed in range(20):
        asked = question_answers(record(labels), Random(seed))
        for pair in asked:
            if pair.kind in ("kind", "finding presence"):
                there = any(label.lower() in pair.question.lower() for label in labels)
                assert pair.answer.startswith("Yes" if there else "No")
        kinds = {pair.kind for pair in asked}
        assert ("presence" in kinds) == bool(labels)
        # A film labelled with other findings may show an unlabelled pneumonia.
        assert ("kind" in kinds) == bool(labels and labels[0] in KINDS)


def test_a_radiologists_text_is_taken_as_it_is() -> None:
    one = record(("mass",), findings="A mass.", impression="Mass, left.")
    assert report(one, Random(0)) == "FINDINGS: A mass.\nIMPRESSION: Mass, left."
    assert report(one, Random(0), "impression") == "Mass, left."
    assert report(record((), findings="A mass."), Random(0), "impression") == "A mass."
    assert {drawing_request(one, Random(seed)) for seed in range(9)} == {
        "FINDINGS: A mass.\nIMPRESSION: Mass, left.",
        "Mass, left.",
    }


def test_what_is_known_is_asked_and_what_is_not_is_not() -> None:
    full = record(
        ("mass",), view="lateral", sex="M", severity="mild", questions=(QuestionAnswer("Tube?", "No.", "devices"),)
    )
    asked = {pair.kind: pair.answer for pair in question_answers(full, Random(0))}
    assert asked["view"] == "Lateral view."
    assert asked["sex"] == "Male."
    assert asked["severity"] == "Mild."
    assert asked["devices"] == "No."
    bare = {pair.kind for pair in question_answers(record((NORMAL,), view="", age_group=""), Random(0))}
    assert not bare & {"view", "sex", "severity", "age group"}


def test_a_negated_condition_is_not_stated() -> None:
    assert stated_condition("IMPRESSION: No evidence of pneumonia.") == NORMAL
    assert stated_condition(f"FINDINGS: no {COVID}.") is None
    assert stated_condition("Clear.") is None
