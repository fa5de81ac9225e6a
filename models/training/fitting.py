"""A phase's recipe as it is trained: scaled to its time limit once, and kept beside its checkpoints."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console

from models.training.budget import factor_within
from models.training.classifier import ClassifierRecipe
from models.training.instruct import InstructRecipe
from models.training.loop import Trainer
from models.training.screen import ScreenRecipe
from models.training.vqgan import VQGANRecipe

AnyRecipe = TypeVar("AnyRecipe", ClassifierRecipe, VQGANRecipe, InstructRecipe, ScreenRecipe)
_FOLDER = "fitted"


def fitted(
    recipe: AnyRecipe, name: str, make: Callable[[AnyRecipe], Trainer], until: float, out: Path, console: Console
) -> AnyRecipe:
    """`recipe` with as many steps as fit before `until`, a moment of `time.monotonic`, by a trainer that `make` gives.

    Kept in `out/fitted`, so that a resumed run has the schedule that it began with.
    """
    file = out / _FOLDER / f"{name}.json"
    if file.exists():
        return type(recipe).model_validate_json(file.read_bytes())
    trainer: Any = make(recipe)
    scaled = recipe.scaled(factor_within(trainer, recipe, until))
    # What the measurement took on a GPU is given back before the trainer itself is built.
    del trainer
    gc.collect()
    torch.cuda.empty_cache()
    console.print(f"{name}: {scaled.steps} steps fit the time, {recipe.steps} are in the recipe")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(scaled.model_dump_json(indent=1))
    return scaled
