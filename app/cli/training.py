"""`cxr manifest` and `cxr train`: radiographs to train on, and the training itself.

The training stack (torch, transformers, accelerate, pyarrow) is an extra and takes seconds to import: it is imported
inside the commands, under `training_errors`, which says what to install where it is missing.
"""

import os
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import console
from app.cli.options import DEFAULT_CACHE, CacheOption, DataArgument, RecipeOption, training_errors

if TYPE_CHECKING:
    from models.data.dataset import Record

manifest_app = typer.Typer(no_args_is_help=True, help="Describe radiographs to train on or to evaluate with.")
_MIB = 2**20


class Phase(StrEnum):
    """What to train."""

    CLASSIFIER = "classifier"
    JUDGE = "judge"
    VQGAN = "vqgan"
    INSTRUCT = "instruct"
    SCREEN = "screen"
    ALL = "all"


class Source(StrEnum):
    """A data set's layout."""

    OPEN = "open"
    MIMIC = "mimic"


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
    with training_errors():
        _make_manifest(source, folder, reports, out)


def _make_manifest(source: Source, folder: Path, reports: Path | None, manifest: Path) -> None:
    """Write the manifest of a data set. Raises DataError."""
    from models.data.dataset import DataError, write_dataset
    from models.data.sources.mimic import read_mimic
    from models.data.sources.open_cxr import read_open_cxr

    if source is Source.MIMIC:
        if reports is None:
            raise DataError("MIMIC-CXR-JPG has no reports; name the folder of MIMIC-CXR's with --reports")
        records = read_mimic(folder, reports)
    else:
        records = read_open_cxr(folder)
    write_dataset(_relative(records, folder, manifest), manifest)
    console.print(f"{manifest}: {len(records)} radiographs")


def _relative(records: "list[Record]", folder: Path, manifest: Path) -> "list[Record]":
    """Records with their images' paths from the manifest's folder."""
    target = manifest.parent.resolve()
    return [replace(r, image=Path(os.path.relpath(folder.resolve() / r.image, target)).as_posix()) for r in records]


@manifest_app.command("pack")
def pack(
    data: DataArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Pack to write.")] = Path("data.tar"),
    size: Annotated[int, typer.Option(help="Side of the model's images in pixels.")] = 256,
    mebibytes: Annotated[float, typer.Option(help="Largest size of the pack.")] = 60.0,
    cache: CacheOption = DEFAULT_CACHE,
) -> None:
    """Put manifest and preprocessed images into one small file for another machine."""
    with training_errors():
        from models.data.images import load_data
        from models.data.images import pack as write_pack

        records, images = load_data(data, size, cache)
        quality = write_pack(records, images, out, int(mebibytes * _MIB))
        written = out.stat().st_size / _MIB
        console.print(f"{out}: {written:.1f} MiB, {len(records)} radiographs, WebP quality {quality}")


@manifest_app.command("strangers")
def strangers_(
    packages: Annotated[Path, typer.Argument(help="Folder of unpacked packages.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path("strangers"),
) -> None:
    """Collect pictures that are no frontal chest radiograph, with their licences, for the screen."""
    with training_errors():
        from models.data.strangers.sources import collect

        rows = collect(packages, out)
        console.print(f"{out}: {len(rows)} pictures of {len({row.source for row in rows})} sources")


def train(
    stage: Annotated[Phase, typer.Argument(help="A stage trains what it needs first.")],
    data: DataArgument,
    out: Annotated[Path, typer.Argument(help="Folder of checkpoints; a stopped run goes on from there.")],
    recipe: RecipeOption = "demo",
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Where the finished bundle goes; screen: one that exists.")
    ] = None,
    instructions: Annotated[Path | None, typer.Option(help="JSON lines of instruction, response.", exists=True)] = None,
    features: Annotated[str | None, typer.Option(help="Network of the information-preserving loss.")] = None,
    base: Annotated[str | None, typer.Option(help="Hugging Face folder of a causal language model.")] = None,
    start: Annotated[
        Path | None, typer.Option(help="Bundle whose image tokenizer to begin from.", exists=True, file_okay=False)
    ] = None,
    strangers: Annotated[
        Path | None,
        typer.Option(help="screen: folder that `cxr manifest strangers` wrote.", exists=True, file_okay=False),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Fit every stage's steps to this time.", min=0.1)] = None,
) -> None:
    """Train a classifier, the image tokenizer, the language model, or all of them; or the screen, which stands alone.

    On several GPUs: accelerate launch -m app.cli train ...
    """
    with training_errors():
        from models.training.budget import Budget

        # The time that the imports below take counts.
        budget = Budget(minutes)
        from models.training import command

        command.train(
            command.Stage(stage),
            data,
            out,
            command.changed_recipe(recipe, features, base),
            bundle=bundle,
            instructions=instructions,
            start=start,
            strangers=strangers,
            budget=budget,
        )
