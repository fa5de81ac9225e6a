"""`python -m models.training`: `cxr train` for a machine that has the training stack alone, and not the service's."""

import argparse
from pathlib import Path

from models.data.dataset import DataError
from models.training.budget import Budget
from models.training.command import Stage, changed_recipe, train


def main() -> None:
    """Train as the command line says; bad data or settings end with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m models.training", description=__doc__)
    parser.add_argument("stage", type=Stage, choices=list(Stage))
    parser.add_argument("data", type=Path, help="manifest (.csv, .parquet) or pack (.tar)")
    parser.add_argument("out", type=Path, help="checkpoints; a stopped run goes on from there")
    parser.add_argument("--recipe", default="gpu")
    parser.add_argument("--features", help="network of the information-preserving loss")
    parser.add_argument("--bundle", type=Path, help="where the finished bundle goes")
    parser.add_argument("--start", type=Path, help="bundle to begin from")
    parser.add_argument("--strangers", type=Path, help="screen: folder of pictures that are no chest radiograph")
    parser.add_argument("--minutes", type=float, help="fit every stage's steps to this time")
    words = parser.parse_args()
    budget = Budget(words.minutes)
    try:
        recipe = changed_recipe(words.recipe, words.features)
        train(
            words.stage,
            words.data,
            words.out,
            recipe,
            bundle=words.bundle,
            start=words.start,
            strangers=words.strangers,
            budget=budget,
        )
    except DataError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
