"""The four kinds of prompts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.prompts import INTRO, Prompts
from models.vocabulary import Vocabulary
from tests.support.service import CODEBOOK, SHARED, byte_vocabulary

VOCABULARY = byte_vocabulary()
PROMPTS = Prompts(VOCABULARY)
CODES = list(range(256))


def controls_in(ids: list[int]) -> list[int]:
    return [i for i in ids if i in VOCABULARY.controls]


@given(st.text(max_size=100))
def test_user_text_adds_no_control_token_and_no_image_to_any_prompt(text: str) -> None:
    frame = [VOCABULARY.instruction, VOCABULARY.response]
    assert controls_in(PROMPTS.draw(text)) == controls_in(PROMPTS.instruct(text)) == frame
    assert controls_in(PROMPTS.answer(CODES, text)) == frame
    images = [i for i in PROMPTS.answer(CODES, text) if i >= VOCABULARY.image_offset]
    assert VOCABULARY.codes(images) == CODES
    assert max(PROMPTS.draw(text)) < VOCABULARY.image_offset


def test_a_prompt_reads_as_the_template_says() -> None:
    ids = PROMPTS.draw("Effusion.", instruction="Draw.")
    place = ids.index(VOCABULARY.instruction)
    assert VOCABULARY.decode(ids[:place]) == f"{INTRO}\n\n"
    assert VOCABULARY.decode(ids[place + 1 : -1]) == "\nDraw.\n\nInput:\nEffusion.\n\n"
    assert ids[-1] == VOCABULARY.response


def test_an_image_lies_between_its_brackets() -> None:
    ids = PROMPTS.report(CODES)
    first = next(index for index, i in enumerate(ids) if i >= VOCABULARY.image_offset)
    assert ids[first - 1] == VOCABULARY.image_open
    assert ids[first + 256] == VOCABULARY.image_close


def test_answers_end_with_the_end_token() -> None:
    assert PROMPTS.written("Clear.")[-1] == VOCABULARY.end
    assert PROMPTS.drawn(CODES)[-1] == VOCABULARY.end
    assert PROMPTS.drawn(CODES)[:1] == PROMPTS.image_opening()


@pytest.mark.skipif(not SHARED.exists(), reason="the published tokenizer is not here")
def test_prompts_are_those_of_the_reference_implementation() -> None:
    folder = SHARED / "dolly-tokenizer"
    prompts = Prompts(Vocabulary.load(folder / "tokenizer.json", 50281, 50281, CODEBOOK))
    builders = {
        "report": lambda item: prompts.report(item["input"], item["instruction"]),
        "answer": lambda item: prompts.answer(item["input"], item["instruction"]),
        "draw": lambda item: prompts.draw(item["input"], item["instruction"]),
        "instruct": lambda item: prompts.instruct(item["instruction"]),
    }
    items = json.loads((folder / "expected_prompts.json").read_text())
    assert {item["kind"] for item in items} == set(builders)
    for item in items:
        assert builders[item["kind"]](item) == item["prompt_token_ids"]
