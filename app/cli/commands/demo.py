"""`cxr demo`: the three jobs once, over real HTTP, in one process."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from app.cli.client import Client
from app.cli.commands.progress import wait_until_ready
from app.dicom.sample import sample_dicom
from app.main import create_app
from app.server.run import FAILED_STATUS, Server
from app.settings import Settings
from app.telemetry import logs


async def run_demo(
    settings: Settings, dicom: Path | None, prompt: str, question: str, out: Path, console: Console
) -> int:
    """Start, do the three jobs, print what came of them, stop; returns the exit status. Raises ServiceError."""
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
