"""Own drawings are kept when they are read back as what was asked for, and resemble real films."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from models.conditions import NORMAL, VIRAL
from models.data.dataset import DataError, Record
from models.training import rejection_sampling as selection
from models.training.instruct import SelectionRecipe
from models.training.language_model import build_model
from models.training.tokenizer import train_tokenizer
from models.vocabulary import Vocabulary
from models.vqgan import VQGAN
from tests.support.training import RECORDS, TINY, record

REAL = np.random.default_rng(0).integers(0, 16, (len(RECORDS), 64))


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return Vocabulary.from_tokenizer(train_tokenizer(RECORDS, 520), 520, 520, 16)


class _OwnDrawings(selection.OwnDrawings):
    """Draws the number of the drawing, and reads every other one back as viral pneumonia, the last one only once."""

    def __init__(self, vocabulary: Vocabulary, recipe: SelectionRecipe) -> None:
        super().__init__(None, vocabulary, None, recipe)  # type: ignore[arg-type]
        self.asked: list[Record] = []

    @property
    def batch(self) -> int:
        return 64

    def draw_codes(self, wanted: Sequence[Record], seed: int) -> np.ndarray:
        self.asked.extend(wanted)
        return np.arange(len(wanted))[:, None] % 16

    def pictures(self, codes: np.ndarray) -> np.ndarray:
        return np.zeros((len(codes), 8, 8), np.uint8)

    def read_back(self, images: np.ndarray, seed: int) -> list[list[str | None]]:
        stated: list[list[str | None]] = [
            [VIRAL, VIRAL] if number % 2 else [None, VIRAL] for number in range(len(images))
        ]
        stated[-1] = [VIRAL, NORMAL]
        return stated


def test_drawings_are_kept_when_every_reading_states_what_was_asked(vocabulary: Vocabulary, tmp_path: Path) -> None:
    own = _OwnDrawings(vocabulary, SelectionRecipe(step=0, conditions=(VIRAL,), each=3, most=100))
    found = selection.select(own, RECORDS, REAL, 0, tmp_path, Console(quiet=True))
    assert len(found.records) == 31
    assert found.codes[:3, 0].tolist() == [1, 3, 5]
    assert {one.condition for one in own.asked} == {VIRAL}
    repeated = selection.select(own, RECORDS, REAL, 0, tmp_path, Console(quiet=True))
    assert repeated.records == found.records
    assert np.array_equal(repeated.codes, found.codes)
    assert len(own.asked) == 64
    never = _OwnDrawings(vocabulary, SelectionRecipe(step=0, conditions=(NORMAL,), most=64))
    with pytest.raises(DataError, match="no drawing of normal"):
        selection.select(never, RECORDS, REAL, 0, tmp_path, Console(quiet=True))


def test_drawings_are_read_through_the_image_tokenizer(vocabulary: Vocabulary) -> None:
    vqgan = VQGAN(TINY).eval()
    own = selection.OwnDrawings(
        build_model(vocabulary, 32, 1, 2), vocabulary, vqgan, SelectionRecipe(step=0, guidance=2.0)
    )
    codes = own.draw_codes([record((VIRAL,)), record((NORMAL,))], 0)
    assert codes.shape == (2, 64)
    assert codes.max() < 16
    images = own.pictures(codes)
    assert images.shape == (2, 32, 32)
    assert [len(stated) for stated in own.read_back(images, 0)] == [3, 3]


def test_of_what_was_read_back_rightly_a_third_that_resembles_films_is_kept(
    vocabulary: Vocabulary, tmp_path: Path
) -> None:
    recipe = SelectionRecipe(step=0, conditions=(VIRAL,), each=30, most=6, readings=0, matched=True)
    torch.manual_seed(0)
    model = build_model(vocabulary, 32, 1, 2).eval()
    own = selection.OwnDrawings(model, vocabulary, VQGAN(TINY).eval(), recipe, empty_requests=True)
    found = selection.select(own, RECORDS, REAL, 0, tmp_path, Console(quiet=True))
    assert found.codes.shape == (2, 64)
    assert {one.condition for one in found.records} == {VIRAL}


def test_after_its_time_no_further_drawings_are_begun(vocabulary: Vocabulary, tmp_path: Path) -> None:
    own = _OwnDrawings(vocabulary, SelectionRecipe(step=0, conditions=(VIRAL,), each=90, most=1000))
    own.until = time.monotonic()
    selection.select(own, RECORDS, REAL, 0, tmp_path, Console(quiet=True))
    assert len(own.asked) == 64
