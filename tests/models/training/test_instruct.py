"""The language model's mixture, losses and beginnings."""

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from models.conditions import COVID, NORMAL
from models.data.dataset import DataError, QuestionAnswer
from models.prompts import Prompts
from models.training.checkpoints import load_state, save_state
from models.training.instruct import InstructRecipe, InstructTrainer, weighted_loss
from models.training.language_model import build_model, image_rows, load_base
from models.training.mixture import KeptDrawings, Mixture, Phase, read_instructions
from models.training.tokenizer import extended_tokenizer, train_tokenizer
from models.vocabulary import Vocabulary
from tests.support.training import RECORDS, record

CODES = np.random.default_rng(0).integers(0, 16, (len(RECORDS), 2, 64))


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.from_tokenizer(train_tokenizer(RECORDS, 520), 520, 520, 16)


def trainer_of(vocabulary: Vocabulary) -> InstructTrainer:
    torch.manual_seed(0)
    recipe = InstructRecipe(stages=(Phase(until=4), Phase(until=6, views="frontal")), batch=4, warmup=2)
    mixture = Mixture(Prompts(vocabulary), RECORDS, CODES, recipe.stages, input_image_weight=0.3)
    return InstructTrainer(build_model(vocabulary, 32, 1, 2), mixture, 520, recipe, Accelerator(cpu=True))


def test_a_resumed_run_has_bitwise_the_losses_of_an_uninterrupted_one(tmp_path: Path, vocabulary: Vocabulary) -> None:
    whole = trainer_of(vocabulary)
    expected = [whole.advance() for _ in range(6)]
    first = trainer_of(vocabulary)
    found = [first.advance() for _ in range(3)]
    save_state(tmp_path / "state", first.state())
    second = trainer_of(vocabulary)
    second.restore(load_state(tmp_path / "state") or {})
    found += [second.advance() for _ in range(3)]
    assert found == expected


def test_only_responses_count_unless_input_images_are_given_a_weight(vocabulary: Vocabulary) -> None:
    for weight in (0.0, 0.3):
        mixture = Mixture(Prompts(vocabulary), RECORDS, CODES, [Phase(until=1)], input_image_weight=weight)
        rng, seen = Random(0), set()
        for _ in range(60):
            example = mixture.example(rng)
            response = example.ids.index(vocabulary.response)
            seen.update(example.weights[: response + 1])
            assert all(value == 1.0 for value in example.weights[response + 1 :])
            assert example.ids[-1] == vocabulary.end
        assert seen == {0.0, weight}


def test_a_stage_draws_its_records_texts_and_tasks_only(vocabulary: Vocabulary) -> None:
    records = [
        record((), 0, findings="Long.", impression="Kept."),
        record((), 1, findings="Lateral.", view="lateral"),
        record((), 2, findings="Later.", study_number=2),
    ]
    curated = Phase(
        until=1, views="frontal", first_study_only=True, texts="impression", report=1, draw=0, answer=0, instruct=0
    )
    mixture = Mixture(Prompts(vocabulary), records, CODES[:3], [curated])
    texts = set()
    for seed in range(20):
        ids = mixture.example(Random(seed)).ids
        texts.add(vocabulary.decode(ids[ids.index(vocabulary.response) + 1 :]).strip())
    assert texts == {"Kept."}


def test_plain_instructions_are_drawn_as_they_are(vocabulary: Vocabulary, tmp_path: Path) -> None:
    file = tmp_path / "dolly.jsonl"
    lines = [
        {"instruction": "Say hello.", "response": "Hello!", "context": ""},
        {"instruction": "Summarise.", "response": "Short.", "context": "Long."},
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    given = read_instructions(file)
    assert given == [QuestionAnswer("Say hello.", "Hello!", "instruction")]
    stage = Phase(until=1, report=0, draw=0, answer=0, instruct=1)
    mixture = Mixture(Prompts(vocabulary), RECORDS, CODES, [stage], instructions=given)
    prompts = Prompts(vocabulary)
    assert mixture.example(Random(0)).ids == prompts.instruct("Say hello.") + prompts.written("Hello!")
    with pytest.raises(DataError, match="none are given"):
        Mixture(prompts, RECORDS, CODES, [stage])
    file.write_text('{"instruction": "x"}\n')
    with pytest.raises(DataError, match="line 1"):
        read_instructions(file)


def test_own_drawings_are_learnt_as_drawings_of_what_was_asked(vocabulary: Vocabulary) -> None:
    stage = Phase(until=1, report=0, draw=1, answer=0, own_drawings=1.0)
    mine = KeptDrawings([record((COVID,), 99)], np.full((1, 64), 7, np.uint16))
    mixture = Mixture(Prompts(vocabulary), RECORDS, CODES, [stage], drawn=mine)
    example = mixture.example(Random(0))
    assert example.ids.count(vocabulary.image_offset + 7) == 64
    assert "COVID-19" in vocabulary.decode(example.ids)
    with pytest.raises(DataError, match="own drawings, and none are given"):
        Mixture(Prompts(vocabulary), RECORDS, CODES, [stage])


def test_dropped_conditions_are_drawings_of_an_empty_request(vocabulary: Vocabulary) -> None:
    stage, prompts = Phase(until=1, report=0, draw=1, answer=0), Prompts(vocabulary)
    empty = prompts.draw("")

    def dropped(share: float) -> int:
        mixture = Mixture(prompts, RECORDS, CODES, [stage], dropped_conditions=share)
        examples = [mixture.example(Random(seed)) for seed in range(200)]
        return sum(example.ids[: len(empty)] == empty for example in examples)

    assert dropped(0.0) == 0
    assert 20 < dropped(0.25) < 80
    assert dropped(1.0) == 200


def test_a_stage_without_records_is_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(DataError, match="until step 5 has no training records"):
        Mixture(Prompts(vocabulary), [record((NORMAL,), view="lateral")], CODES[:1], [Phase(until=5, views="frontal")])


def test_text_and_image_tokens_are_averaged_apart() -> None:
    logits = torch.zeros(1, 4, 6)
    ids = torch.tensor([[0, 1, 5, 5]])
    loss, parts = weighted_loss(logits, ids, torch.ones(1, 4), offset=4, text_weight=3.0)
    uniform = float(np.log(6))
    assert parts == {"image": pytest.approx(uniform), "text": pytest.approx(uniform)}
    assert float(loss) == pytest.approx(4 * uniform)


@pytest.mark.parametrize("how", ["random", "mean", "codebook"])
def test_image_rows_have_the_spread_of_the_text_rows(how: str) -> None:
    generator = torch.Generator().manual_seed(0)
    text = 0.5 + 0.02 * torch.randn(100, 64, generator=generator)
    rows = image_rows(text, how, torch.randn(32, 8, generator=generator), generator)  # type: ignore[arg-type]
    assert rows.shape == (32, 64)
    centre = 0.5 if how == "mean" else 0.0
    assert float(rows.mean()) == pytest.approx(centre, abs=0.01)
    assert 0.001 < float(rows.std()) < 0.04


def test_codes_near_in_the_codebook_begin_near_in_the_embedding() -> None:
    generator = torch.Generator().manual_seed(0)
    codebook = torch.randn(16, 8, generator=generator)
    codebook[1] = codebook[0] + 0.01
    rows = image_rows(torch.randn(10, 64), "codebook", codebook, generator)
    others = (rows[2:] - rows[0]).norm(dim=1)
    assert float((rows[1] - rows[0]).norm()) < 0.1 * float(others.min())


def test_any_hugging_face_model_gets_special_tokens_and_image_rows(tmp_path: Path, vocabulary: Vocabulary) -> None:
    base = Vocabulary.from_tokenizer(train_tokenizer(RECORDS, 510), 510, 510, 0)
    build_model(base, 32, 1, 2).save_pretrained(tmp_path)
    tokenizer = train_tokenizer(RECORDS, 510)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    before = build_model(base, 32, 1, 2)
    extended = extended_tokenizer(tmp_path)
    size = extended.get_vocab_size(with_added_tokens=True)
    found = Vocabulary.from_tokenizer(extended, size, size, 16)
    model = load_base(tmp_path, found, torch.randn(16, 4), "random")
    assert model.get_input_embeddings().weight.shape == (size + 16, 32)
    assert model.get_output_embeddings().weight.shape == (size + 16, 32)
    assert model.config.vocab_size == found.size
    assert model.config.eos_token_id == found.end
    assert before.config.vocab_size == 510
