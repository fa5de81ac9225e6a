"""`cxr evaluate card`: the model card of a bundle, from the results of the other evaluations.

As in `training`, the training stack is imported inside the command.
"""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console
from app.cli.options import (
    DEFAULT_CACHE,
    DEFAULT_RESULTS,
    BundleArgument,
    CacheOption,
    DataArgument,
    RecipeOption,
    ResultsOption,
    SplitOption,
    training_errors,
)


def card(
    bundle: BundleArgument,
    data: DataArgument,
    results: ResultsOption = DEFAULT_RESULTS,
    recipe: RecipeOption = "demo",
    history: Annotated[Path | None, typer.Option(help="Log of runs, Markdown.", exists=True)] = None,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
) -> None:
    """Write MODEL_CARD.md of a bundle from the results of the other commands."""
    with training_errors():
        from models.bundle.writer import replace_card
        from models.evaluation.card import PARTS, model_card, read_results
        from models.evaluation.subject import Subject
        from models.training.recipe import load_recipe

        subject = Subject(bundle, data, cache, split)
        log = history.read_text(encoding="utf-8").strip() if history else "One run, by the commands above."
        replace_card(bundle, model_card(subject, read_results(results), load_recipe(recipe), recipe, log))
        console.print(f"Wrote the model card of {subject.bundle.manifest.label} from {', '.join(PARTS)}")
