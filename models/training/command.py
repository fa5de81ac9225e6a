"""What `cxr train` and `python -m models.training` do: train phases of a recipe and write the bundle."""

from enum import StrEnum
from pathlib import Path

from transformers import PreTrainedModel

from models.bundle.export import export_bundle
from models.bundle.screen import add_screen
from models.training.budget import Budget
from models.training.pipeline import TrainingPipeline, console
from models.training.recipe import Recipe, load_recipe
from models.training.screen import NAME as SCREEN
from models.training.screen_stage import screen_stage
from models.vocabulary import Vocabulary


class Stage(StrEnum):
    """What to train; every stage trains what it needs first."""

    CLASSIFIER = "classifier"
    JUDGE = "judge"
    VQGAN = "vqgan"
    INSTRUCT = "instruct"
    SCREEN = "screen"
    ALL = "all"


def changed_recipe(name: str, features: str | None = None, base: str | None = None) -> Recipe:
    """The recipe with what a command line changes in it. Raises DataError."""
    recipe = load_recipe(name)
    if features:
        recipe = recipe.model_copy(update={"features": features})
    if base:
        recipe = recipe.model_copy(update={"instruct": recipe.instruct.model_copy(update={"base": base})})
    return recipe


def train(
    stage: Stage,
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    bundle: Path | None = None,
    instructions: Path | None = None,
    start: Path | None = None,
    strangers: Path | None = None,
    budget: Budget | None = None,
) -> None:
    """Train one stage and what it needs, or all of them and write `bundle`. Raises DataError, FloatingPointError.

    `start` is a bundle to begin from: its image tokenizer, and its language model where the recipe goes on.
    The stage `screen` learns from the pictures in `strangers` too, and its result goes into a bundle that exists.
    The bundle is also written before every selection of own drawings, to `BUNDLE-step-N`: a cut run leaves one.
    """
    out.mkdir(parents=True, exist_ok=True)
    pipeline = TrainingPipeline(recipe, data, out, instructions=instructions, start=start, budget=budget)
    if stage is Stage.CLASSIFIER:
        pipeline.classifier()
        return
    if stage is Stage.SCREEN:
        screen_stage(pipeline, strangers)
        if bundle and pipeline.accelerator.is_main_process:
            manifest = add_screen(bundle, out / SCREEN)
            console.print(f"Added the screen to {manifest.label}; measure it with `cxr evaluate screen`")
        return
    if stage in (Stage.JUDGE, Stage.ALL):
        pipeline.judge()
        if stage is Stage.JUDGE:
            return
    vqgan = pipeline.vqgan()
    if stage is Stage.VQGAN:
        return

    def write(llm: PreTrainedModel, vocabulary: Vocabulary, state: str = "") -> None:
        if not (bundle and pipeline.accelerator.is_main_process):
            return
        folder = bundle.with_name(f"{bundle.name}-{state}") if state else bundle
        manifest = export_bundle(
            folder,
            name=recipe.name,
            version=recipe.version,
            licence=recipe.licence,
            intended_use=recipe.intended_use,
            vqgan=vqgan,
            llm=llm,
            vocabulary=vocabulary,
            decoding=recipe.decoding,
        )
        console.print(f"Wrote {manifest.label} to {folder}; measure it with `cxr evaluate`")

    write(*pipeline.language_model(vqgan, write))
