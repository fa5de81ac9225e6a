"""What an evaluation finds out about a bundle, printed and written as JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.console import console
from app.cli.options import training_errors

if TYPE_CHECKING:
    from models.evaluation.subject import Subject


def evaluate_part(
    part: str,
    bundle: Path,
    data: Path,
    results: Path,
    split: str,
    cache: Path,
    device: str,
    measure: Callable[["Subject"], dict[str, Any]],
) -> None:
    """Print what `measure` finds out about the bundle, and write it to `results/PART.json`."""
    with training_errors():
        from models.evaluation.subject import Subject

        subject = Subject(bundle, data, cache, split, device)
        results.mkdir(parents=True, exist_ok=True)
        text = json.dumps(measure(subject), indent=2)
        (results / f"{part}.json").write_text(text + "\n", encoding="utf-8")
        console.print_json(text)
