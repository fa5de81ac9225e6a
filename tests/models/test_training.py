"""The recipe on a handful of made-up radiographs: it runs, resumes exactly, and refuses bad data."""

import csv
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from support import gradient

from models.prompts import Prompts
from models.training.checkpoints import load_state, save_state
from models.training.codebook import CodebookAverage
from models.training.data import REQUIRED_COLUMNS, DataError, Study, pack_images, read_index, rows_of
from models.training.instruct import InstructRecipe, InstructTrainer, Mixture, build_model
from models.training.loop import run
from models.training.tokenizer import train_tokenizer
from models.training.vqgan import VQGANRecipe, VQGANTrainer
from models.training.wording import (
    BACTERIAL,
    UNLABELLED,
    VIRAL,
    condition,
    drawing_request,
    exchanges,
    report,
    stated_condition,
)
from models.vocabulary import Vocabulary
from models.vqgan import VQGANConfig
from models.vqgan.quantizer import Quantizer

LABELS = ("normal", BACTERIAL, VIRAL, "COVID-19", UNLABELLED, "Cardiomegaly|Effusion")
TINY = VQGANConfig(
    resolution=32,
    in_channels=1,
    out_ch=1,
    ch=8,
    ch_mult=(1, 2, 2),
    num_res_blocks=1,
    z_channels=8,
    embed_dim=4,
    n_embed=16,
    norm_groups=4,
)
RECIPE = VQGANRecipe(steps=6, whole_steps=2, crop=16, crop_batch=2, whole_batch=2, warmup=2)


def study(label: str, number: int = 0, **changes: str) -> Study:
    values = {
        "file": f"{number}.png",
        "label": label,
        "view": "AP",
        "age_group": "paediatric",
        "sex": "",
        "group": f"g{number}",
        "split": "train",
        "licence": "CC0",
        "attribution": "made up",
    }
    return Study(**{**values, **changes})


STUDIES = [study(label, number) for number, label in enumerate(LABELS * 4)]


def write_index(folder: Path, rows: list[dict[str, str]]) -> Path:
    path = folder / "index.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*REQUIRED_COLUMNS, "sex"])
        writer.writeheader()
        writer.writerows(rows)
    return path


def row(number: int, **changes: str) -> dict[str, str]:
    values = dict.fromkeys(REQUIRED_COLUMNS, "x")
    return {**values, "file": f"{number}.png", "group": f"g{number}", "split": "train", "sex": "", **changes}


@pytest.mark.parametrize("label", LABELS)
def test_reports_and_requests_state_their_label_and_only_it(label: str) -> None:
    rng, one = Random(0), study(label)
    for _ in range(30):
        text = report(one, rng)
        if label == UNLABELLED:
            assert text is None
        elif label in ("normal", BACTERIAL, VIRAL, "COVID-19"):
            assert text is not None
            assert stated_condition(text) == label
        else:
            assert text is not None
            assert "effusion" in text.lower()
        assert drawing_request(one, rng)


@pytest.mark.parametrize("label", LABELS)
def test_answers_follow_from_the_label(label: str) -> None:
    for exchange in exchanges(study(label), Random(1)):
        if exchange.kind == "presence" and "pneumonia" in exchange.question:
            assert exchange.answer.startswith("Yes" if "pneumonia" in label or label == "COVID-19" else "No")
        if exchange.kind == "kind":
            assert exchange.answer.startswith("Yes" if label in exchange.question else "No")
    assert (condition(study(label)) is None) is (label == UNLABELLED)


def test_a_group_in_two_splits_is_refused_by_row(tmp_path: Path) -> None:
    path = write_index(tmp_path, [row(1), row(2, group="g1", split="test")])
    with pytest.raises(DataError, match="row 3: group 'g1' is in two splits"):
        read_index(path)


def test_an_empty_value_and_a_missing_column_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 2: \['label'\] empty"):
        read_index(write_index(tmp_path, [row(1, label="")]))
    (tmp_path / "index.csv").write_text("file,label\na,b\n")
    with pytest.raises(DataError, match="'group'"):
        read_index(tmp_path / "index.csv")


def test_validation_is_taken_from_train_alone_and_never_moves(tmp_path: Path) -> None:
    path = write_index(tmp_path, [row(n, split="test" if n % 5 == 0 else "train") for n in range(400)])
    first, second = read_index(path), read_index(path)
    assert [s.split for s in first] == [s.split for s in second]
    assert len(rows_of(first, "test")) == 80
    assert 5 < len(rows_of(first, "validation")) < 40


def test_an_unreadable_image_is_named_and_leaves_no_cache(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"0\.png: not a readable image"):
        pack_images(tmp_path, [study("normal")], 32, tmp_path / "cache.npy")
    assert not list(tmp_path.glob("cache*"))


def test_images_are_packed_once(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(gradient(60, 50)).save(tmp_path / "images" / "0.png")
    first = pack_images(tmp_path, [study("normal")], 32, tmp_path / "cache.npy")
    (tmp_path / "images" / "0.png").unlink()
    assert np.array_equal(pack_images(tmp_path, [study("normal")], 32, tmp_path / "cache.npy"), first)


def test_a_codebook_entry_that_nobody_chooses_is_revived() -> None:
    quantizer = Quantizer(4, 2)
    average = CodebookAverage(quantizer, decay=0.5, revive_below=0.1)
    generator = torch.Generator().manual_seed(0)
    average.start(torch.randn(50, 2, generator=generator), generator)
    vectors = torch.ones(8, 2)
    revived = sum(average.update(vectors, torch.zeros(8, dtype=torch.int64), generator) for _ in range(10))
    assert revived >= 3
    assert torch.isfinite(quantizer.embedding.weight).all()


def tokenizer_trainer() -> VQGANTrainer:
    images = np.random.default_rng(0).integers(0, 255, (6, 32, 32)).astype(np.uint8)
    return VQGANTrainer(TINY, RECIPE, images, np.arange(6))


def test_the_loop_writes_a_checkpoint_and_goes_on_from_it(tmp_path: Path) -> None:
    first = tokenizer_trainer()
    run(first, "x", 2, tmp_path / "state", save_every=2, print_every=1)
    second = tokenizer_trainer()
    run(second, "x", 4, tmp_path / "state", save_every=2, print_every=1)
    assert (first.step, second.step) == (2, 4)


def test_a_resumed_tokenizer_run_has_bitwise_the_losses_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = tokenizer_trainer()
    expected = [whole.advance()["loss"] for _ in range(6)]
    first = tokenizer_trainer()
    found = [first.advance()["loss"] for _ in range(3)]
    save_state(tmp_path / "state", first.state())
    second = tokenizer_trainer()
    second.restore(load_state(tmp_path / "state") or {})
    found += [second.advance()["loss"] for _ in range(3)]
    assert found == expected


def test_a_loss_that_is_not_finite_stops_the_run_before_the_weights_change() -> None:
    trainer = tokenizer_trainer()
    with torch.no_grad():
        trainer.model.decoder.conv_out.bias.fill_(float("nan"))
    before = trainer.model.encoder.conv_in.weight.clone()
    with pytest.raises(FloatingPointError, match="step 0"):
        trainer.advance()
    assert torch.equal(before, trainer.model.encoder.conv_in.weight)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    tokenizer = train_tokenizer(STUDIES, 520)
    return Vocabulary.of(tokenizer, 520, 520, 16)


def trainer_of(vocabulary: Vocabulary) -> InstructTrainer:
    torch.manual_seed(0)
    recipe = InstructRecipe(steps=6, batch=4, warmup=2)
    codes = np.random.default_rng(0).integers(0, 16, (len(STUDIES), 64))
    mixture = Mixture(Prompts(vocabulary), STUDIES, codes, recipe)
    return InstructTrainer(build_model(vocabulary, 32, 1, 2), mixture, vocabulary, recipe)


def test_a_resumed_language_model_run_has_bitwise_the_losses_of_an_uninterrupted_one(
    tmp_path: Path, vocabulary: Vocabulary
) -> None:
    whole = trainer_of(vocabulary)
    expected = [whole.advance() for _ in range(6)]
    first = trainer_of(vocabulary)
    found = [first.advance() for _ in range(3)]
    save_state(tmp_path / "state", first.state())
    second = trainer_of(vocabulary)
    second.restore(load_state(tmp_path / "state") or {})
    found += [second.advance() for _ in range(3)]
    assert found == expected


def test_only_responses_and_input_images_are_learned_from(vocabulary: Vocabulary) -> None:
    recipe = InstructRecipe(input_image_weight=0.0)
    codes = np.zeros((len(STUDIES), 64), np.int64)
    rng = Random(0)
    mixture = Mixture(Prompts(vocabulary), STUDIES, codes, recipe)
    for _ in range(40):
        example = mixture.example(rng)
        response = example.ids.index(vocabulary.response)
        assert not any(example.weights[: response + 1])
        assert all(weight == 1.0 for weight in example.weights[response + 1 :])
        assert example.ids[-1] == vocabulary.end
