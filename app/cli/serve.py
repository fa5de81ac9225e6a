"""`cxr serve`: the service until it is interrupted."""

import asyncio
import faulthandler
import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app.cli.console import console, fail
from app.cli.options import BundleOption, ConfigOption, StateOption, settings_of
from app.cli.preflight import problems
from app.settings import Settings

if TYPE_CHECKING:
    from app.server.run import Server

_CURLS = """
  curl -F image=@chest.dcm {url}/v1/reports
  curl -F image=@chest.dcm -F 'question=Is there pneumonia?' {url}/v1/answers
  curl -H 'Content-Type: application/json' -d '{{"prompt": "Normal chest radiograph."}}' {url}/v1/images/generations

  API documentation: {url}/docs   Stop: Ctrl-C
"""


def serve(
    bundle: BundleOption = None,
    state_dir: StateOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    config: ConfigOption = None,
) -> None:
    """Serve a bundle over HTTP until interrupted."""
    # Imported here: the web framework, the workflow engine and the models' libraries take seconds, which other commands
    # need not wait for.
    from app.server.run import run

    settings = settings_of(config, bundle=bundle, state_dir=state_dir, host=host, port=port)
    found = problems(settings)
    if found:
        fail("The service cannot start:\n" + "\n".join(f"  {line}" for line in found))
    raise typer.Exit(run(_serve_forever(settings, console)))


async def _serve_forever(settings: Settings, console: Console) -> int:
    """Serve until interrupted; returns the process's exit status."""
    from app.main import create_app
    from app.server.descriptors import raise_limit
    from app.server.process import forbid_tracing, share_arenas, write_for_owner_alone
    from app.server.run import Server
    from app.telemetry import logs

    logs.configure(human=console.is_terminal)
    write_for_owner_alone()
    share_arenas()
    forbid_tracing()
    raise_limit()
    # SIGUSR1 writes the stacks of all threads to standard error, to diagnose a process that hangs.
    faulthandler.register(signal.SIGUSR1, file=2)
    # CUDA's compile cache defaults to the home folder, which may be read-only.
    os.environ.setdefault("CUDA_CACHE_PATH", str((settings.state_dir / "cache" / "cuda").resolve()))
    server = Server(create_app(settings), settings)
    announcement = asyncio.create_task(_announce(server, console))
    try:
        return await server.serve()
    finally:
        announcement.cancel()


async def _announce(server: "Server", console: Console) -> None:
    from app.cli.progress import wait_until_ready

    if await wait_until_ready(server.lifecycle, console):
        console.print(f"Serving at {server.url}", style="bold")
        console.print(_CURLS.format(url=server.url), markup=False, soft_wrap=True)
    else:
        console.print("The service did not start; the log above says why.", style="red")
