"""`cxr evaluate`: measure a bundle on a manifest, and write its model card.

As in `training`, the training stack is imported inside the commands.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.card import card
from app.cli.console import console
from app.cli.options import (
    DEFAULT_CACHE,
    DEFAULT_RESULTS,
    BundleArgument,
    CacheOption,
    DataArgument,
    DeviceOption,
    ResultsOption,
    SplitOption,
    training_errors,
)
from models.evidence import REPLACEMENT, Replacement

if TYPE_CHECKING:
    from models.evaluation.subject import Subject

evaluate_app = typer.Typer(no_args_is_help=True, help="Measure a bundle on a manifest; every command writes JSON.")

FeaturesOption = Annotated[
    list[str] | None,
    typer.Option("--features", help="classifier:, xrv:, inception:, rad-dino:PATH or module:attribute; for distances."),
]


def _evaluate(
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


@evaluate_app.command()
def images(
    bundle: BundleArgument,
    data: DataArgument,
    results: ResultsOption = DEFAULT_RESULTS,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
    features: FeaturesOption = None,
) -> None:
    """Reconstruction: PSNR, SSIM, codebook use, FID and KID."""

    def measure(subject: "Subject") -> dict[str, Any]:
        from models.evaluation.reconstruction import evaluate_images

        return evaluate_images(subject, features or [])

    _evaluate("images", bundle, data, results, split, cache, device, measure)


@evaluate_app.command()
def reports(
    bundle: BundleArgument,
    data: DataArgument,
    results: ResultsOption = DEFAULT_RESULTS,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
    score: Annotated[
        list[str] | None, typer.Option(help="radgraph:, f1chexbert: or radeval:WEIGHTS; may be repeated.")
    ] = None,
) -> None:
    """Reports: labels that they state, and scores against a radiologist's text."""

    def measure(subject: "Subject") -> dict[str, Any]:
        from models.evaluation.reports import evaluate_reports

        named = [(name, Path(weights)) for name, _, weights in (one.partition(":") for one in score or [])]
        return evaluate_reports(subject, named)

    _evaluate("reports", bundle, data, results, split, cache, device, measure)


@evaluate_app.command()
def vqa(
    bundle: BundleArgument,
    data: DataArgument,
    results: ResultsOption = DEFAULT_RESULTS,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
) -> None:
    """Answers: accuracy by kind of question."""

    def measure(subject: "Subject") -> dict[str, Any]:
        from models.evaluation.answers import evaluate_vqa

        return evaluate_vqa(subject)

    _evaluate("vqa", bundle, data, results, split, cache, device, measure)


@evaluate_app.command()
def findings(
    bundle: BundleArgument,
    data: DataArgument,
    results: ResultsOption = DEFAULT_RESULTS,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
) -> None:
    """Findings: AUROC, AUPRC, sensitivity and specificity, Brier score, calibration error; a reliability plot."""

    def measure(subject: "Subject") -> dict[str, Any]:
        from models.evaluation.finding_figures import evaluate_findings

        figures, curves = evaluate_findings(subject)
        curves.save(results / "reliability.png")
        return figures

    _evaluate("findings", bundle, data, results, split, cache, device, measure)


@evaluate_app.command()
def evidence(
    bundle: BundleArgument,
    data: DataArgument,
    results: ResultsOption = DEFAULT_RESULTS,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
    films: Annotated[int, typer.Option("--films", help="How many.", min=1)] = 100,
    replacement: Annotated[Replacement, typer.Option(help="What regions are replaced by.")] = REPLACEMENT,
) -> None:
    """Evidence: do the regions with most weight, removed first, lower the probability fastest? A plot."""

    def measure(subject: "Subject") -> dict[str, Any]:
        from models.evaluation.evidence import evaluate_evidence

        figures, curves = evaluate_evidence(subject, films, replacement)
        curves.save(results / "deletion.png")
        return figures

    _evaluate("evidence", bundle, data, results, split, cache, device, measure)


@evaluate_app.command()
def drawings(
    bundle: BundleArgument,
    data: DataArgument,
    judge: Annotated[Path, typer.Option(help="Folder that `cxr train classifier` wrote.", exists=True)],
    results: ResultsOption = DEFAULT_RESULTS,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
    each: Annotated[int, typer.Option(help="Drawings per request.", min=2)] = 40,
    features: FeaturesOption = None,
    guidance: Annotated[
        list[float] | None,
        typer.Option("--guidance", help="Measure at this scale, too; may be repeated; plotted.", min=1, max=10),
    ] = None,
) -> None:
    """Drawings: agreement with the request, likeness to real films, variety, copies."""

    def measure(subject: "Subject") -> dict[str, Any]:
        from models.evaluation.drawings import evaluate_drawings

        figures, sheets = evaluate_drawings(subject, judge, each, features or [], guidance or [])
        for name, sheet in sheets.items():
            sheet.save(results / f"{name}.png")
        return figures

    _evaluate("drawings", bundle, data, results, split, cache, device, measure)


@evaluate_app.command()
def watermark(
    bundle: BundleArgument,
    data: DataArgument,
    results: ResultsOption = DEFAULT_RESULTS,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
    each: Annotated[int, typer.Option(help="Drawings per request.", min=1)] = 24,
    strength: Annotated[list[float] | None, typer.Option(help="Nats; may be repeated.", min=0.0)] = None,
) -> None:
    """The watermark of drawings: found after JPEG, resizing and the like; false alarms on real films."""

    def measure(subject: "Subject") -> dict[str, Any]:
        from models.evaluation.watermark import evaluate_watermark

        return evaluate_watermark(subject, strength or [1.0], each)

    _evaluate("watermark", bundle, data, results, split, cache, device, measure)


@evaluate_app.command()
def screen(
    bundle: BundleArgument,
    data: DataArgument,
    results: ResultsOption = DEFAULT_RESULTS,
    split: SplitOption = "test",
    cache: CacheOption = DEFAULT_CACHE,
    device: DeviceOption = "cpu",
    strangers: Annotated[
        Path | None, typer.Option(help="Folder that `cxr manifest strangers` wrote.", exists=True, file_okay=False)
    ] = None,
) -> None:
    """The screen: strangers refused, true films accepted, turned, mirrored, inverted and cut ones found."""

    def measure(subject: "Subject") -> dict[str, Any]:
        from models.evaluation.screen import evaluate_screen

        return evaluate_screen(subject, strangers)

    _evaluate("screen", bundle, data, results, split, cache, device, measure)


evaluate_app.command()(card)
