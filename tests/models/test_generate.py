"""Prompts of different lengths in one batch give what each gives alone; guidance moves away from its prompt."""

import numpy as np
import pytest
import torch
from transformers import GPTNeoXForCausalLM

from models.bundle import Decoding
from models.generate import Guidance, draw, write
from models.prompts import Prompts
from models.training.language_model import build_model
from models.training.tokenizer import train_tokenizer
from models.vocabulary import Vocabulary
from models.watermark import Watermark
from tests.support.training import RECORDS


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.from_tokenizer(train_tokenizer(RECORDS, 520), 520, 520, 16)


@pytest.fixture(scope="module")
def model(vocabulary: Vocabulary) -> GPTNeoXForCausalLM:
    torch.manual_seed(0)
    return build_model(vocabulary, 32, 2, 2).eval()


def openings(vocabulary: Vocabulary, *texts: str) -> list[list[int]]:
    prompts = Prompts(vocabulary)
    return [prompts.draw(text) + prompts.image_opening() for text in texts]


def test_a_padded_batch_writes_what_each_prompt_alone_writes(model: GPTNeoXForCausalLM, vocabulary: Vocabulary) -> None:
    prompts = openings(vocabulary, "", "Normal.", "AP chest radiograph of a child. Viral pneumonia.")
    assert write(model, vocabulary, prompts, 12) == [write(model, vocabulary, [one], 12)[0] for one in prompts]


def test_a_padded_batch_draws_what_each_prompt_alone_draws(model: GPTNeoXForCausalLM, vocabulary: Vocabulary) -> None:
    prompts, likeliest = openings(vocabulary, "", "Viral pneumonia."), Decoding(temperature=0.0, top_p=0.001)
    both = draw(model, vocabulary, prompts, likeliest, 16)
    assert both.shape == (2, 16)
    assert np.array_equal(both, np.concatenate([draw(model, vocabulary, [p], likeliest, 16) for p in prompts]))


def test_drawings_are_codes_decided_by_their_seed(model: GPTNeoXForCausalLM, vocabulary: Vocabulary) -> None:
    prompts = openings(vocabulary, *["Normal."] * 4)
    first, again, other = (draw(model, vocabulary, prompts, Decoding(), 16, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 0 <= first.min() <= first.max() < vocabulary.codebook_size


def test_guidance_of_one_changes_nothing_and_more_of_it_does(model: GPTNeoXForCausalLM, vocabulary: Vocabulary) -> None:
    prompts, (empty,) = openings(vocabulary, "Normal.", "Viral pneumonia."), openings(vocabulary, "")
    plain = draw(model, vocabulary, prompts, Decoding(), 16)
    assert np.array_equal(plain, draw(model, vocabulary, prompts, Decoding(), 16, 0, Guidance(1.0, tuple(empty))))
    assert not np.array_equal(plain, draw(model, vocabulary, prompts, Decoding(), 16, 0, Guidance(40.0, tuple(empty))))


def test_a_marked_drawing_has_more_green_codes_and_no_mark_changes_nothing(
    model: GPTNeoXForCausalLM, vocabulary: Vocabulary
) -> None:
    prompts, key = openings(vocabulary, *["Normal."] * 16), b"a key"
    plain = draw(model, vocabulary, prompts, Decoding(), 16)
    assert np.array_equal(plain, draw(model, vocabulary, prompts, Decoding(), 16, watermark=Watermark(key, 0.0)))
    found = [
        sum(Watermark(key, 0.0).detect(row, vocabulary.codebook_size).green for row in codes)
        for codes in (plain, draw(model, vocabulary, prompts, Decoding(), 16, watermark=Watermark(key, 3.0)))
    ]
    assert found[1] > found[0] + 50
