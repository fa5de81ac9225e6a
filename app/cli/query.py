"""`cxr report`, `cxr ask`, `cxr findings`, `cxr draw`: requests to a running service."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from app.cli.client import Client, ServiceError
from app.cli.console import console, errors, fail
from app.cli.evidence import check_writable
from app.cli.options import DEFAULT_URL, KeyOption, SeedOption, UrlOption

JsonOption = Annotated[bool, typer.Option("--json", help="Print the whole response.")]
FileArgument = Annotated[Path, typer.Argument(help="DICOM, PNG or JPEG.", exists=True, dir_okay=False)]


def report(
    file: FileArgument,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    seed: SeedOption = None,
    samples: Annotated[
        int | None,
        typer.Option("--samples", min=1, max=16, help="Draw so many further reports; print how far they agree."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a draft report on a radiograph from a running service."""
    body = _show_progress(lambda: Client(url, key).report(file, seed=seed, samples=samples), as_json)
    console.print(body["report"]["text"], markup=False)
    if "doubt" in body:
        console.print(f"doubt: {body['doubt']:.0%}, by {body['samples']} samples")
        for sentence in body["sentences"]:
            console.print(f"{sentence['support']:>5.0%}  {sentence['text']}", markup=False)
    errors.print(body["notice"], style="dim")


def ask(
    file: FileArgument,
    question: Annotated[list[str], typer.Argument(help="One or several.")],
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    seed: SeedOption = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Print how probable yes is, of questions that ask for yes or no.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print answers about a radiograph from a running service."""
    asked = probabilities or None
    body = _show_progress(lambda: Client(url, key).answer(file, question, seed=seed, probabilities=asked), as_json)
    for item in body["answers"]:
        sure = "" if item.get("probability") is None else f"  (yes: {item['probability']:.1%}, uncalibrated)"
        console.print(f"{item['question']}  {item['answer']}{sure}", markup=False)
    errors.print(body["notice"], style="dim")


def findings(
    file: FileArgument, url: UrlOption = DEFAULT_URL, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Print the findings of a radiograph, with a probability each, from a running service."""
    body = _show_progress(lambda: Client(url, key).findings(file), as_json)
    table = Table("finding", "probability", "code")
    for item in body["findings"]:
        code = item["code"]
        coded = escape(f"{code['scheme']} {code['value']} {code['meaning']}")
        table.add_row(escape(item["name"]), f"{item['probability']:.3f}", coded)
    if "abnormal" in body:
        table.add_row("abnormal", f"{body['abnormal']['probability']:.3f}", "")
    console.print(table)
    if not body["calibrated"]:
        errors.print("Note: the probabilities are the model's own, not calibrated.", style="yellow")
    errors.print(body["notice"], style="dim")


def _show_progress(work: Callable[[], dict[str, Any]], as_json: bool) -> dict[str, Any]:
    try:
        with errors.status("Reading the radiograph"):
            body = work()
    except ServiceError as error:
        fail(str(error), 1)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}.", 1)
    if as_json:
        console.print_json(json.dumps(body))
        raise typer.Exit
    for warning in body["image"]["warnings"]:
        errors.print(f"Note: {warning}", style="yellow")
    return body


def draw(
    text: Annotated[str, typer.Argument(help="What the radiograph shall show.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .png, .jpg, .webp or .dcm.")] = Path(
        "drawing.png"
    ),
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    seed: SeedOption = None,
    guidance: Annotated[
        float | None, typer.Option("--guidance", min=1.0, max=10.0, help="How closely to follow the text; 1 is off.")
    ] = None,
    best_of: Annotated[
        int | None,
        typer.Option("--best-of", min=1, max=8, help="Draw so many; the one that the model reads best is kept."),
    ] = None,
) -> None:
    """Draw a synthetic radiograph with a running service."""
    formats = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".dcm": "dicom"}
    if out.suffix.lower() not in formats:
        fail(f"{out.name}: the file name must end in {', '.join(formats)}.")
    check_writable(out)
    try:
        with errors.status("Drawing"):
            image, body = Client(url, key).draw(
                text, formats[out.suffix.lower()], seed=seed, guidance_scale=guidance, best_of=best_of
            )
    except ServiceError as error:
        fail(str(error), 1)
    try:
        out.write_bytes(image)
    except OSError as error:
        fail(f"{out}: {error.strerror}. The drawing with seed {body['seed']} is lost.", 1)
    console.print(f"{out}  seed {body['seed']}  {body['timings']['total']:.0f} ms", markup=False)
    reading = body.get("reading")
    if reading is not None:
        doubt = "  (not the condition that was asked for)" if reading["agrees"] is False else ""
        console.print(f"read back: {' '.join(reading['text'].split())}{doubt}", markup=False)
    nearest = body.get("nearest")
    if nearest is not None:
        console.print(f"nearest training film: {nearest['similarity']:.2f} of at most {nearest['limit']:.2f}")
    errors.print(body["notice"], style="dim")


def watermark(
    file: FileArgument, url: UrlOption = DEFAULT_URL, key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """Say whether a running service has drawn a picture, by its watermark and metadata."""
    try:
        with errors.status("Looking at the picture"):
            body = Client(url, key).verify(file)
    except ServiceError as error:
        fail(str(error), 1)
    if as_json:
        console.print_json(json.dumps(body))
        return
    console.print(body["statement"], markup=False)
    if mark := body.get("watermark"):
        console.print(f"{mark['green']} of {mark['codes']} codes are green, p = {mark['p_value']:.2g}", markup=False)
