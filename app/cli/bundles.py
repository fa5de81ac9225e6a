"""Bundles: `cxr import` and `cxr bench make-bundle` write one, `cxr verify` checks one.

torch and transformers are imported inside the commands: they take seconds, and `cxr --help` needs neither.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.cli.console import console, errors, fail

if TYPE_CHECKING:
    from models.importers import Source


def verify(bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")]) -> None:
    """Check a bundle: checksums, that its parts fit each other, and that they run."""
    from models.bundle import BundleError, load, read_manifest

    try:
        total = sum(entry.bytes for entry in read_manifest(bundle).files.values())
        with Progress(console=errors, transient=True) as progress:
            task = progress.add_task("Verifying", total=total)
            loaded = load(bundle, lambda count: progress.advance(task, count))
        with errors.status("Running its parts"):
            from models.bundle.check import smoke

            ran = smoke(loaded)
    except BundleError as error:
        fail(f"Refused: {error}")
    manifest = loaded.manifest
    table = Table("what", "value", title=escape(manifest.label), title_justify="left")
    rows, columns = manifest.image.grid
    table.add_row("files", f"{len(manifest.files)}, {total / 1e6:.1f} MB, every SHA-256 as listed")
    table.add_row(
        "image", f"{manifest.image.size} px, {rows} x {columns} tokens of {manifest.vocabulary.codebook_size}"
    )
    table.add_row("vocabulary", f"{manifest.vocabulary.text_size} text + {manifest.vocabulary.codebook_size} image ids")
    for what, found in ran.items():
        table.add_row(what, found)
    table.add_row("licence", escape(manifest.licence))
    table.add_row("intended use", escape(manifest.intended_use))
    console.print(table)


def import_(
    llm: Annotated[Path, typer.Option("--llm", help="Hugging Face folder of the language model.", file_okay=False)],
    vqgan_config: Annotated[Path, typer.Option(help="taming-transformers' YAML.")],
    vqgan_checkpoint: Annotated[Path, typer.Option(help="taming-transformers' .ckpt.")],
    out: Annotated[Path, typer.Option("--out", help="Bundle to write.")],
    name: Annotated[str, typer.Option(help="The bundle's name.")] = "llm-cxr",
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1.0",
    licence: Annotated[str, typer.Option(help="The weights' licence.")] = "see the publisher",
) -> None:
    """Make a bundle of the published LLM-CXR files. An import that is cut off goes on where it stopped."""
    from models.importers import ImportRefused, Source

    try:
        _import(Source(llm, vqgan_config, vqgan_checkpoint, name, version, licence), out)
    except ImportRefused as error:
        fail(f"Refused: {error}")


def _import(source: "Source", out: Path) -> None:
    """Import `source` to `out`. Raises ImportRefused."""
    from models.importers import ImportRefused, import_bundle

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as bars:
        task = bars.add_task("Converting", total=source.bytes)

        def progress(name: str, count: int) -> None:
            bars.update(task, description=f"Converting {name}", advance=count)

        try:
            manifest = import_bundle(source, out, progress)
        except ValidationError as error:
            raise ImportRefused("; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())) from error
    total = sum(entry.bytes for entry in manifest.files.values())
    console.print(
        f"{out}: {manifest.label}, {len(manifest.files)} files, {total / 1e6:,.1f} MB; check it with cxr verify"
    )


def make_random(
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist.")],
    preset: Annotated[str | None, typer.Option(help="small, 78m or published, instead of the sizes.")] = None,
    hidden: Annotated[int, typer.Option(min=8)] = 512,
    layers: Annotated[int, typer.Option(min=1)] = 8,
    heads: Annotated[int, typer.Option(min=1)] = 8,
    vqgan_channels: Annotated[int | None, typer.Option(help="Without it: the embedded bundle's VQ-GAN.")] = None,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    seed: int = 0,
) -> None:
    """Write a bundle of random weights over the published vocabulary (51,305 rows)."""
    from models.bundle.random import PRESETS, Geometry, make_bundle

    if preset is not None and preset not in PRESETS:
        fail(f"--preset {preset}: there are {', '.join(PRESETS)}")
    if dtype not in ("float32", "bfloat16"):
        fail(f"--dtype {dtype}: give float32 or bfloat16")
    if hidden % heads:
        fail(f"--hidden {hidden} is no multiple of --heads {heads}")
    sizes = Geometry(hidden, layers, heads, vqgan_channels=vqgan_channels, dtype=dtype)  # type: ignore[arg-type]
    try:
        with errors.status("Writing"):
            make_bundle(out, sizes if preset is None else PRESETS[preset], seed=seed)
    except FileExistsError:
        fail(f"{out} exists already.")
    console.print(f"{out}  {sum(file.stat().st_size for file in out.rglob('*') if file.is_file()) / 1e6:.0f} MB")
