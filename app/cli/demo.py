"""`cxr demo`: the three jobs once, over real HTTP, in one process."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from app.cli.client import Client, ServiceError
from app.cli.console import console, fail
from app.cli.options import BundleOption, ConfigOption, StateOption, settings_of
from app.settings import Settings


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
    if dicom is not None and not dicom.is_file():
        fail(f"There is no file {dicom}.")
    settings = settings_of(config, bundle=bundle, state_dir=state_dir, port=0)
    try:
        raise typer.Exit(asyncio.run(_run_demo(settings, dicom, prompt, question, out, console)))
    except ServiceError as error:
        fail(str(error), 1)


async def _run_demo(
    settings: Settings, dicom: Path | None, prompt: str, question: str, out: Path, console: Console
) -> int:
    """Start the service, do the three jobs, print the results, stop; returns the exit status. Raises ServiceError."""
    # Seconds to import; see `cxr serve`.
    from app.cli.progress import wait_until_ready
    from app.dicom.sample import sample_dicom
    from app.main import create_app
    from app.server.run import FAILED_STATUS, Server
    from app.telemetry import logs

    logs.configure(human=True, level=logging.WARNING)
    out.mkdir(parents=True, exist_ok=True)
    if dicom is None:
        dicom = out / "sample.dcm"
        dicom.write_bytes(sample_dicom())
    server = Server(create_app(settings), settings)
    async with server.running():
        console.print(f"Serving the bundle in {settings.bundle} at {server.url}", soft_wrap=True)
        if not await wait_until_ready(server.lifecycle, console):
            return FAILED_STATUS
        await asyncio.to_thread(_three_jobs, Client(server.url), dicom, prompt, question, out, console)
    console.print("Stopped.")
    return 0


def _three_jobs(client: Client, dicom: Path, prompt: str, question: str, out: Path, console: Console) -> None:
    body = client.report(dicom)
    console.print(f"\n[bold]Report[/bold] on {dicom}", soft_wrap=True)
    for warning in body["image"]["warnings"]:
        console.print(f"  note: {warning}", markup=False)
    console.print(body["report"]["text"], markup=False)
    console.print(_timings(body), style="dim")

    body = client.answer(dicom, [question])
    console.print("\n[bold]Answer[/bold]")
    console.print(f"{question}  {body['answers'][0]['answer']}", markup=False)
    console.print(_timings(body), style="dim")

    console.print("\n[bold]Drawing[/bold]")
    console.print(prompt, markup=False)
    started = time.perf_counter()
    seed = None
    for name, output_format in (("drawing.png", "png"), ("drawing.dcm", "dicom")):
        image, body = client.draw(prompt, output_format, seed=seed)
        seed = body["seed"]
        (out / name).write_bytes(image)
        console.print(f"  {(out / name).resolve()}", markup=False, soft_wrap=True)
    console.print(f"{_timings(body)}  (seed {seed}, twice: {time.perf_counter() - started:.1f} s)", style="dim")
    console.print(f"\n{body['notice']}", style="yellow")


def _timings(body: dict[str, Any]) -> str:
    return "  ".join(f"{stage} {ms:.0f} ms" for stage, ms in body["timings"].items())
