"""`cxr`: the command line. Thin; every command calls the rest."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from app.cli_access import audit_app, keys_app
from app.cli_bench import bench_app
from app.cli_training import evaluate_app, manifest_app, train
from app.client import Client, ServiceError
from app.console import console, errors, fail
from app.preflight import problems
from app.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, add_completion=False)

BundleOption = Annotated[Path | None, typer.Option("--bundle", help="Folder of the model bundle.")]
StateOption = Annotated[Path | None, typer.Option("--state-dir", help="The only folder that is written to.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file of settings.", exists=True)]
UrlOption = Annotated[str, typer.Option("--url", envvar="CXR_URL", help="Where the service listens.")]
KeyOption = Annotated[str | None, typer.Option("--key", envvar="CXR_API_KEY", help="API key.", show_envvar=True)]
SeedOption = Annotated[int | None, typer.Option("--seed", help="The same seed gives the same output.")]
DEFAULT_URL = "http://127.0.0.1:8080"


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        console.print(f"llm-cxr-server {version('llm-cxr-server')}", markup=False, highlight=False)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Serve a language model that reads and draws chest radiographs."""


def settings_of(config: Path | None, **overrides: object) -> Settings:
    """The settings, or the end of the command with everything that is wrong with them."""
    try:
        return load_settings(config, **overrides)
    except ValidationError as error:
        lines = [
            f"  CXR_{'__'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in error.errors()
        ]
        fail("The settings are not valid:\n" + "\n".join(lines))


@app.command()
def serve(
    bundle: BundleOption = None,
    state_dir: StateOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    config: ConfigOption = None,
) -> None:
    """Serve a bundle over HTTP until interrupted."""
    from app.commands.serve import serve_forever
    from app.serving import run

    settings = settings_of(config, bundle=bundle, state_dir=state_dir, host=host, port=port)
    found = problems(settings)
    if found:
        fail("The service cannot start:\n" + "\n".join(f"  {line}" for line in found))
    raise typer.Exit(run(serve_forever(settings, console)))


@app.command()
def doctor(bundle: BundleOption = None, state_dir: StateOption = None, config: ConfigOption = None) -> None:
    """Check what the service would meet here: GPU, disk, bundle, ports, database, keys, destinations."""
    from app.commands.doctor import run_doctor

    raise typer.Exit(run_doctor(settings_of(config, bundle=bundle, state_dir=state_dir), console))


@app.command()
def demo(
    dicom: Annotated[Path | None, typer.Option("--dicom", help="A radiograph of yours: DICOM, PNG or JPEG.")] = None,
    prompt: Annotated[str, typer.Option(help="What to draw.")] = "AP chest radiograph of a child. Viral pneumonia.",
    question: Annotated[str, typer.Option(help="What to ask.")] = "Is there pneumonia?",
    out: Annotated[Path, typer.Option("--out", help="Where the drawn PNG and DICOM go.")] = Path("out"),
    bundle: BundleOption = None,
    state_dir: StateOption = None,
    config: ConfigOption = None,
) -> None:
    """Start the service, do its three jobs once, show the results, stop."""
    from app.commands.demo import run_demo

    if dicom is not None and not dicom.is_file():
        fail(f"There is no file {dicom}.")
    settings = settings_of(config, bundle=bundle, state_dir=state_dir, port=0)
    try:
        raise typer.Exit(asyncio.run(run_demo(settings, dicom, prompt, question, out, console)))
    except ServiceError as error:
        fail(str(error), 1)


JsonOption = Annotated[bool, typer.Option("--json", help="Print the whole response.")]
FileArgument = Annotated[Path, typer.Argument(help="DICOM, PNG or JPEG.", exists=True, dir_okay=False)]


@app.command()
def report(
    file: FileArgument,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a draft report on a radiograph from a running service."""
    body = _read(lambda: Client(url, key).report(file, seed=seed), as_json)
    console.print(body["report"]["text"], markup=False)
    errors.print(body["notice"], style="dim")


@app.command()
def ask(
    file: FileArgument,
    question: Annotated[list[str], typer.Argument(help="One or several.")],
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print answers about a radiograph from a running service."""
    body = _read(lambda: Client(url, key).answer(file, question, seed=seed), as_json)
    for item in body["answers"]:
        console.print(f"{item['question']}  {item['answer']}", markup=False)
    errors.print(body["notice"], style="dim")


def _read(work: Callable[[], dict[str, Any]], as_json: bool) -> dict[str, Any]:
    try:
        with errors.status("Reading the radiograph"):
            body = work()
    except ServiceError as error:
        fail(str(error), 1)
    if as_json:
        console.print_json(json.dumps(body))
        raise typer.Exit
    for warning in body["image"]["warnings"]:
        errors.print(f"Note: {warning}", style="yellow")
    return body


@app.command()
def draw(
    text: Annotated[str, typer.Argument(help="What the radiograph shall show.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .png, .jpg, .webp or .dcm.")] = Path(
        "drawing.png"
    ),
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    seed: SeedOption = None,
) -> None:
    """Draw a synthetic radiograph with a running service."""
    formats = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".dcm": "dicom"}
    if out.suffix.lower() not in formats:
        fail(f"{out.name}: the file name must end in {', '.join(formats)}.")
    try:
        with errors.status("Drawing"):
            image, body = Client(url, key).draw(text, formats[out.suffix.lower()], seed=seed)
    except ServiceError as error:
        fail(str(error), 1)
    out.write_bytes(image)
    console.print(f"{out}  seed {body['seed']}  {body['timings']['total']:.0f} ms", markup=False)
    errors.print(body["notice"], style="dim")


@app.command()
def verify(bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")]) -> None:
    """Check a bundle: checksums, that its parts fit each other, and that they run."""
    from models.bundle import BundleError, load, read_manifest

    try:
        total = sum(entry.bytes for entry in read_manifest(bundle).files.values())
        from rich.progress import Progress

        with Progress(console=errors, transient=True) as progress:
            task = progress.add_task("Verifying", total=total)
            loaded = load(bundle, lambda count: progress.advance(task, count))
        with errors.status("Running its parts"):
            from models.smoke import smoke

            ran = smoke(loaded)
    except BundleError as error:
        fail(f"Refused: {error}")
    manifest = loaded.manifest
    table = Table("what", "value", title=manifest.label, title_justify="left")
    rows, columns = manifest.image.grid
    table.add_row("files", f"{len(manifest.files)}, {total / 1e6:.1f} MB, every SHA-256 as listed")
    table.add_row(
        "image", f"{manifest.image.size} px, {rows} x {columns} tokens of {manifest.vocabulary.codebook_size}"
    )
    table.add_row("vocabulary", f"{manifest.vocabulary.text_size} text + {manifest.vocabulary.codebook_size} image ids")
    for what, found in ran.items():
        table.add_row(what, found)
    table.add_row("licence", manifest.licence)
    table.add_row("intended use", manifest.intended_use)
    console.print(table)


@app.command("import")
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
    from app.commands.import_ import run_import
    from models.importers import ImportRefused, Source

    try:
        run_import(Source(llm, vqgan_config, vqgan_checkpoint, name, version, licence), out, console, errors)
    except ImportRefused as error:
        fail(f"Refused: {error}")


app.command()(train)
app.add_typer(bench_app, name="bench")
app.add_typer(keys_app, name="keys")
app.add_typer(audit_app, name="audit")
app.add_typer(manifest_app, name="manifest")
app.add_typer(evaluate_app, name="evaluate")


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
