"""What a record says of a finding."""

import pytest

from models.conditions import BACTERIAL, COVID, NORMAL, VIRAL
from models.data.dataset import QuestionAnswer
from models.data.truth import presence
from tests.support.training import record

QUESTION = "Is there a mass?"


@pytest.mark.parametrize(
    ("labels", "name", "expected"),
    [
        ((NORMAL,), NORMAL, True),
        ((NORMAL,), "pneumonia", False),
        ((NORMAL,), "effusion", False),
        ((BACTERIAL,), "pneumonia", True),
        ((BACTERIAL,), BACTERIAL, True),
        ((BACTERIAL,), VIRAL, False),
        ((BACTERIAL,), COVID, False),
        ((BACTERIAL,), NORMAL, False),
        ((BACTERIAL,), "effusion", None),
        (("effusion", "mass"), "mass", True),
        (("effusion", "mass"), "nodule", False),
        (("effusion", "mass"), "pneumonia", None),
        (("effusion", "mass"), VIRAL, None),
        (("effusion", "mass"), NORMAL, False),
        (("pneumonia", "mass"), "pneumonia", True),
        ((), "mass", None),
        (("mass",), "no label", None),
    ],
)
def test_labels_say_what_is_there_and_only_where_they_can_what_is_not(
    labels: tuple[str, ...], name: str, expected: bool | None
) -> None:
    assert presence(record(labels), name) is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("Yes.", True), ("No, there is no mass.", False), ("Possibly.", True), ("Yesterday.", True)],
)
def test_the_records_own_answer_counts_before_its_labels(answer: str, expected: bool) -> None:
    asked = record(("mass",), questions=(QuestionAnswer(QUESTION.upper(), answer, "other"),))
    assert presence(asked, "mass", QUESTION) is expected
