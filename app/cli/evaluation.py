"""`cxr evaluate`: measure a bundle on a manifest, and write its model card.

As in `training`, the training stack is imported inside the commands.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.card import card
from app.cli.certainty import doubt, evidence, findings
from app.cli.options import (
    DEFAULT_CACHE,
    DEFAULT_RESULTS,
    BundleArgument,
    CacheOption,
    DataArgument,
    DeviceOption,
    ResultsOption,
    SplitOption,
)
from app.cli.results import evaluate_part

if TYPE_CHECKING:
    from models.evaluation.subject import Subject

evaluate_app = typer.Typer(no_args_is_help=True, help="Measure a bundle on a manifest; every command writes JSON.")

FeaturesOption = Annotated[
    list[str] | None,
    typer.Option("--features", help="classifier:, xrv:, inception:, rad-dino:PATH or module:attribute; for distances."),
]


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

    evaluate_part("images", bundle, data, results, split, cache, device, measure)


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

    evaluate_part("reports", bundle, data, results, split, cache, device, measure)


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

    evaluate_part("vqa", bundle, data, results, split, cache, device, measure)


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

    evaluate_part("drawings", bundle, data, results, split, cache, device, measure)


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

    evaluate_part("watermark", bundle, data, results, split, cache, device, measure)


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

    evaluate_part("screen", bundle, data, results, split, cache, device, measure)


for command in (findings, doubt, evidence, card):
    evaluate_app.command()(command)
