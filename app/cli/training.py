"""`cxr manifest`, `cxr train`, `cxr evaluate`: thin as the rest of the command line."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console, fail

manifest_app = typer.Typer(no_args_is_help=True, help="Describe radiographs to train on or to evaluate with.")
evaluate_app = typer.Typer(no_args_is_help=True, help="Measure a bundle on a manifest; every command writes JSON.")

DataArgument = Annotated[Path, typer.Argument(help="Manifest (.csv, .parquet) or pack (.tar).", exists=True)]
BundleArgument = Annotated[Path, typer.Argument(help="Folder of the bundle.", exists=True, file_okay=False)]
ResultsOption = Annotated[Path, typer.Option("--results", help="Folder of the JSON files.")]
SplitOption = Annotated[str, typer.Option("--split", help="train, validation or test.")]
CacheOption = Annotated[Path, typer.Option("--cache", help="Keeps preprocessed images and codes.")]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
RecipeOption = Annotated[str, typer.Option("--recipe", help="demo, gpu, paper, tiny, or a TOML file.")]
FeaturesOption = Annotated[
    list[str] | None,
    typer.Option("--features", help="classifier:, xrv:, inception:, rad-dino:PATH or module:attribute; for distances."),
]
DEFAULT_RESULTS = Path("results")
DEFAULT_CACHE = Path("cache")


class Stage(StrEnum):
    """What to train."""

    CLASSIFIER = "classifier"
    VQGAN = "vqgan"
    INSTRUCT = "instruct"
    ALL = "all"


class Source(StrEnum):
    """A data set's layout."""

    OPEN = "open"
    MIMIC = "mimic"


@contextmanager
def _training() -> Iterator[None]:
    """Errors of data and of training as one line on standard error."""
    try:
        from models.bundle import BundleError
        from models.data.dataset import DataError
        from models.features import FeatureError
    except ImportError:
        fail("This needs the extra `train`: pip install '.[train]'.")
    try:
        yield
    except (DataError, FeatureError, BundleError, FloatingPointError) as error:
        fail(str(error), 1)


@manifest_app.command("make")
def make(
    source: Annotated[Source, typer.Argument(help="open: index.csv and images/; mimic: a MIMIC-CXR-JPG folder.")],
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Manifest to write: .csv or .parquet.")] = Path(
        "manifest.csv"
    ),
    reports: Annotated[Path | None, typer.Option(help="mimic: MIMIC-CXR's `files` folder.", exists=True)] = None,
) -> None:
    """Write the manifest of a data set."""
    with _training():
        from app.cli.commands.train import make_manifest

        make_manifest(source.value, folder, reports, out, console)


@manifest_app.command("pack")
def pack(
    data: DataArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Pack to write.")] = Path("data.tar"),
    size: Annotated[int, typer.Option(help="Side of the model's images in pixels.")] = 256,
    mebibytes: Annotated[float, typer.Option(help="Largest size of the pack.")] = 60.0,
    cache: CacheOption = DEFAULT_CACHE,
) -> None:
    """Put manifest and preprocessed images into one small file for another machine."""
    with _training():
        from app.cli.commands.train import make_pack

        make_pack(data, out, size, mebibytes, cache, console)


def train(
    stage: Annotated[Stage, typer.Argument(help="A stage trains what it needs first.")],
    data: DataArgument,
    out: Annotated[Path, typer.Argument(help="Folder of checkpoints; a stopped run goes on from there.")],
    recipe: RecipeOption = "demo",
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Where the finished bundle goes.")] = None,
    instructions: Annotated[Path | None, typer.Option(help="JSON lines of instruction, response.", exists=True)] = None,
    features: Annotated[str | None, typer.Option(help="Network of the information-preserving loss.")] = None,
    base: Annotated[str | None, typer.Option(help="Hugging Face folder of a causal language model.")] = None,
) -> None:
    """Train a classifier, the image tokenizer, the language model, or all of them.

    On several GPUs: accelerate launch -m app.cli train ...
    """
    with _training():
        from app.cli.commands.train import train as run

        run(stage.value, data, out, recipe, bundle, instructions, features, base, console)


def _evaluate(
    part: str,
    bundle: Path,
    data: Path,
    results: Path,
    split: str,
    cache: Path,
    device: str,
    features: list[str] | None = None,
    judge: Path | None = None,
    each: int = 0,
    scores: list[str] | None = None,
) -> None:
    with _training():
        from app.cli.commands.train import evaluate
        from models.evaluation.subject import Subject

        named = [(name, Path(weights)) for name, _, weights in (score.partition(":") for score in scores or [])]
        subject = Subject(bundle, data, cache, split, device)
        evaluate(part, subject, results, console, features=features or [], judge=judge, each=each, scores=named)


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
    _evaluate("images", bundle, data, results, split, cache, device, features)


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
    _evaluate("reports", bundle, data, results, split, cache, device, scores=score)


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
    _evaluate("vqa", bundle, data, results, split, cache, device)


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
) -> None:
    """Drawings: agreement with the request, variety, distance to the training images."""
    _evaluate("drawings", bundle, data, results, split, cache, device, features, judge, each)


@evaluate_app.command()
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
    with _training():
        from app.cli.commands.train import card as write
        from models.evaluation.subject import Subject

        write(Subject(bundle, data, cache, split), results, recipe, history, console)
