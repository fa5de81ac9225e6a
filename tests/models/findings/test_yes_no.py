"""The probability of yes, and where two answers part."""

import math

import pytest

from models.findings.yes_no import YesNo, probability_of_yes
from tests.support.service import bundle_in_memory

BUNDLE = bundle_in_memory()
PROMPTS = BUNDLE.prompts


@pytest.mark.parametrize(
    ("yes", "no", "expected"),
    [
        (math.log(0.6), math.log(0.2), 0.75),
        (-1.0, -1.0, 0.5),
        (-1e6, -1.0, 0.0),
        (-1.0, -1e6, 1.0),
        (-math.inf, -1.0, 0.0),
        (-math.inf, -math.inf, 0.5),
    ],
)
def test_the_probability_is_the_softmax_of_the_two_answers(yes: float, no: float, expected: float) -> None:
    assert probability_of_yes(yes, no) == pytest.approx(expected)
    assert probability_of_yes(no, yes) == pytest.approx(1.0 - expected)


@pytest.mark.parametrize(
    ("yes", "no", "shared", "first", "second"),
    [
        ("Yes, there is.", "No, there is not.", "", "Y", "N"),
        ("It is normal.", "It is abnormal.", "It is ", "n", "a"),
        ("Clear.", "Clear. Not.", "Clear.", "\n", " "),
    ],
)
def test_answers_part_at_their_first_token_that_differs(
    yes: str, no: str, shared: str, first: str, second: str
) -> None:
    found = YesNo.from_answers(PROMPTS, yes, no)
    assert BUNDLE.vocabulary.tokenizer.decode(list(found.shared)) == shared
    assert [BUNDLE.vocabulary.tokenizer.decode([one]) for one in found.ids] == [first, second]


def test_the_same_answer_twice_is_none() -> None:
    with pytest.raises(ValueError, match="same"):
        YesNo.from_answers(PROMPTS, "Yes.", "Yes.")
