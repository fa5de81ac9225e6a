"""The stage `screen` of a recipe: strangers and films in memory, training, thresholds, and the bundle it goes into."""

from pathlib import Path

import numpy as np
import torch

from models.data.dataset import DataError, rows_of
from models.screen.network import shrink
from models.screen.screen import Screen
from models.training.fitting import fitted
from models.training.pipeline import TrainingPipeline, console
from models.training.screen import NAME, ScreenRecipe, ScreenTrainer, train_screen
from models.training.strangers import load_strangers

_BATCH = 256


def small(images: np.ndarray, rows: np.ndarray, side: int) -> np.ndarray:
    """The rows of preprocessed films, averaged down: uint8 (len(rows), side, side)."""
    found = np.empty((len(rows), side, side), np.uint8)
    for start in range(0, len(rows), _BATCH):
        batch = torch.from_numpy(np.stack([images[row] for row in rows[start : start + _BATCH]]))
        grey = (shrink(batch, side) + 1.0) * 127.5
        found[start : start + _BATCH] = grey.round().clamp(0, 255).to(torch.uint8).numpy()
    return found


def screen_stage(pipeline: TrainingPipeline, strangers: Path | None) -> Screen:
    """The trained screen, in `OUT/screen`. Thresholds come from the validation split, or where it is empty from the
    films it was trained with. Raises DataError.
    """
    folder = pipeline.out / NAME
    if (folder / "config.json").exists():
        return Screen.load(folder)
    recipe, records = pipeline.recipe.screen, pipeline.records
    films = small(pipeline.images, pipeline.rows, recipe.kept_side)
    known = [records[row] for row in pipeline.rows]
    frontal = films[[record.frontal for record in known]]
    if not len(frontal):
        raise DataError("a screen needs frontal films in the training split")
    pictures = load_strangers(strangers, frontal, recipe.drawn, recipe.kept_side, recipe.seed)

    def trainer(of: ScreenRecipe) -> ScreenTrainer:
        return ScreenTrainer(of, known, films, pictures, pipeline.accelerator)

    until = pipeline.budget.until(0.95)
    if pipeline.budget.limited:
        recipe = fitted(recipe, NAME, trainer, until, pipeline.out, console)
    validation = rows_of(records, "validation")
    unseen = [row for row in (validation if len(validation) else pipeline.rows) if records[row].frontal]
    return train_screen(trainer(recipe), np.stack([pipeline.images[row] for row in unseen]), pipeline.out, until)
