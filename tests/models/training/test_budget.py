"""A time limit decides how many steps a phase has, and ends it."""

import math
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from models.training.budget import Budget, factor_within, seconds_of
from models.training.classifier import ClassifierRecipe
from models.training.fitting import fitted
from models.training.instruct import InstructRecipe, SelectionRecipe
from models.training.loop import run
from models.training.mixture import Phase
from models.training.vqgan import VQGANRecipe
from tests.support.training import VQGAN_RECIPE, vqgan_trainer

RECIPE = VQGANRecipe(steps=400, whole_from=100, freeze_codes_from=200, discriminator_from=300)


class _Sleeper:
    """Steps of 2 ms, from step 200 of 4 ms."""

    step = 0

    def advance(self) -> dict[str, float]:
        time.sleep(0.002 if self.step < 200 else 0.004)
        self.step += 1
        return {}


def test_without_a_limit_there_is_no_end() -> None:
    assert not Budget().limited
    assert Budget().until(0.1) == math.inf


def test_a_share_is_one_of_what_is_left() -> None:
    budget = Budget(1.0)
    assert 5 < budget.until(0.1) - time.monotonic() <= 6


def test_every_phase_counts_with_its_own_speed() -> None:
    sleeper: Any = _Sleeper()
    assert 1.2 <= seconds_of(sleeper, RECIPE) < 2.4
    assert 0.2 < factor_within(sleeper, RECIPE, time.monotonic() + 0.9) < 0.75


def test_scaled_recipes_keep_their_phases() -> None:
    half = RECIPE.scaled(0.5)
    assert (half.steps, half.whole_from, half.freeze_codes_from, half.discriminator_from) == (200, 50, 100, 150)
    stages = (Phase(until=10), Phase(until=20), Phase(until=22, own_drawings=0.5))
    recipe = InstructRecipe(stages=stages, selections=(SelectionRecipe(step=20),))
    tenth = recipe.scaled(0.1)
    assert [stage.until for stage in tenth.stages] == [1, 2, 3]
    assert tenth.selections[0].step == 2
    assert recipe.scaled(3.0).steps == 66
    assert ClassifierRecipe(steps=10, warmup=5).scaled(0.0).steps == 1


def test_a_fitted_recipe_is_the_one_of_a_resumed_run(tmp_path: Path) -> None:
    def make(_: VQGANRecipe) -> Any:
        return _Sleeper()

    first = fitted(RECIPE, "x", make, time.monotonic() + 0.5, tmp_path, Console(quiet=True))
    assert 0 < first.steps < RECIPE.steps
    assert fitted(RECIPE, "x", make, time.monotonic() + 50, tmp_path, Console(quiet=True)) == first


def test_a_phase_whose_time_is_over_stops_with_a_checkpoint(tmp_path: Path) -> None:
    trainer = vqgan_trainer()
    run(trainer, "x", VQGAN_RECIPE.steps, tmp_path, until=time.monotonic())
    assert trainer.step == 1
    assert (tmp_path / "x.state").is_file()
