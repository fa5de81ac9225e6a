"""Training of the screen, on made-up films and strangers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from models.screen.config import KINDS
from models.training.screen import ScreenRecipe, ScreenTrainer, thresholds, train_screen
from models.training.strangers import Strangers, load_strangers
from tests.support.screens import noise, tiny_screen, write_folder
from tests.support.training import record

RECIPE = ScreenRecipe(steps=4, batch=8, warmup=1, side=32, channels=(8, 16), drawn=1)
RECORDS = [record(("normal",), number, age_group="adult" if number < 3 else "paediatric") for number in range(11)] + [
    record(("normal",), 11, view="lateral")
]
FILMS = noise(12, RECIPE.kept_side)


def strangers(folder: Path | None = None) -> Strangers:
    return load_strangers(folder, FILMS, 1, RECIPE.kept_side, 0)


def trainer(found: Strangers | None = None, recipe: ScreenRecipe = RECIPE) -> ScreenTrainer:
    return ScreenTrainer(recipe, RECORDS, FILMS, found or strangers(), Accelerator(cpu=True))


def test_a_folder_of_strangers_joins_the_drawn_ones_and_its_licences_are_kept(tmp_path: Path) -> None:
    drawn, found = strangers(), strangers(write_folder(tmp_path))
    assert len(found.pictures) == len(drawn.pictures) + 3
    assert {one.licence for one in found.sources if one.source == "shop"} == {"CC0-1.0"}
    assert "museum" not in {one.source for one in found.sources}


def test_strangers_are_taken_by_kind_and_not_by_number(tmp_path: Path) -> None:
    kinds = strangers(write_folder(tmp_path)).take(2000, np.random.default_rng(0))[1]
    shares = np.bincount(kinds, minlength=len(KINDS)) / 2000
    assert shares == pytest.approx([0, 0.2, 0.3, 0.5], abs=0.05)


def test_films_that_the_manifest_calls_lateral_are_learnt_as_such() -> None:
    made = trainer()
    kinds = np.concatenate([made.batch(np.random.default_rng(seed))[1].numpy() for seed in range(20)])
    assert KINDS.index("lateral") in kinds


def test_turns_and_flags_of_strangers_are_not_learnt() -> None:
    _, kinds, turns, flags = trainer().batch(np.random.default_rng(0))
    assert (turns[kinds > 0] == -1).all()
    assert (flags[kinds > 0] == -1).all()
    assert (turns[kinds == 0] >= 0).all()


def test_a_resumed_run_has_the_losses_that_it_would_have_had() -> None:
    whole = trainer()
    losses = [whole.advance() for _ in range(4)]
    first = trainer()
    for _ in range(2):
        first.advance()
    second = trainer()
    second.restore(first.state())
    assert [second.advance() for _ in range(2)] == losses[2:]


def test_a_screen_learns_what_films_are() -> None:
    recipe = RECIPE.model_copy(update={"steps": 40, "batch": 32})
    made = trainer(recipe=recipe)
    losses = [made.advance()["loss"] for _ in range(40)]
    assert np.mean(losses[-5:]) < 0.95 * np.mean(losses[:5])


def test_the_result_is_written_with_its_thresholds(tmp_path: Path) -> None:
    screen = train_screen(trainer(), noise(5), tmp_path)
    assert (tmp_path / "screen" / "model.safetensors").is_file()
    assert (tmp_path / "samples" / "screen-000004.png").is_file()
    assert screen.config.thresholds == thresholds(screen, noise(5))
    assert 0 <= screen.config.thresholds.refuse <= screen.config.thresholds.doubt <= 1


def test_thresholds_accept_the_films_that_they_were_set_on() -> None:
    torch.manual_seed(0)
    screen = tiny_screen()
    limits = thresholds(screen, noise(8))
    accepted = [look.frontal >= limits.refuse for look in screen.look(noise(8))]
    assert sum(accepted) >= 7
