"""`cxr import`: published files to a bundle, with progress."""

from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from models.importers import ImportRefused, Source, import_bundle


def run_import(source: Source, out: Path, console: Console, errors: Console) -> None:
    """Import `source` to `out`. Raises ImportRefused."""
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
