"""`cxr evidence`: the map of what a statement depends on in a radiograph, from a running service."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from app.cli.client import Client, ServiceError
from app.cli.console import console, errors, fail
from app.cli.options import DEFAULT_URL, KeyOption, UrlOption

_FORMATS = {".png": "image/png", ".dcm": "application/dicom", ".json": "application/json"}


def evidence(
    file: Annotated[Path, typer.Argument(help="DICOM, PNG or JPEG.", exists=True, dir_okay=False)],
    statement: Annotated[
        str, typer.Argument(help="Sentence of a report; or a question that asks for yes or no and ends in '?'.")
    ],
    context: Annotated[
        str | None, typer.Option(help="What the report says before the statement: it is read, not scored.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .png, .dcm or .json.")] = Path("map.png"),
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
) -> None:
    """Write the map of what a statement depends on in a radiograph: the model's dependence, no finding."""
    if out.suffix.lower() not in _FORMATS:
        fail(f"{out.name}: the file name must end in {', '.join(_FORMATS)}.")
    check_writable(out)
    kind = "question" if statement.rstrip().endswith("?") else "statement"
    try:
        with errors.status("Looking for evidence"):
            data = Client(url, key).evidence(file, _FORMATS[out.suffix.lower()], context=context, **{kind: statement})
    except ServiceError as error:
        fail(str(error), 1)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}.", 1)
    try:
        out.write_bytes(data)
    except OSError as error:
        fail(f"{out}: {error.strerror}.", 1)
    console.print(str(out), markup=False)
    if out.suffix.lower() == ".json":
        body = json.loads(data)
        for warning in body["image"]["warnings"]:
            errors.print(f"Note: {warning}", style="yellow")
        console.print(f"log-probability by the whole image: {body['log_probability']:.3f}")
        if "answer" in body:
            console.print(f"of the answer: {body['answer']}", markup=False)
    errors.print("A map of what the model depends on; no finding, and not for clinical use.", style="dim")


def check_writable(out: Path) -> None:
    """End the command where `out` cannot be written, before anything is made and counted."""
    if out.is_dir():
        fail(f"{out}: is a folder; name a file.", 1)
    if not out.parent.is_dir():
        fail(f"{out}: there is no folder {out.parent}.", 1)
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        fail(f"{out}: cannot be written.", 1)
