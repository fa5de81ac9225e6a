"""`cxr serve`."""

import asyncio
import faulthandler
import os
import signal

from rich.console import Console

from app.cli.commands.progress import wait_until_ready
from app.main import create_app
from app.server.process import share_arenas
from app.server.run import Server
from app.settings import Settings
from app.telemetry import logs

_CURLS = """
  curl -F image=@chest.dcm {url}/v1/reports
  curl -F image=@chest.dcm -F 'question=Is there pneumonia?' {url}/v1/answers
  curl -H 'Content-Type: application/json' -d '{{"prompt": "Normal chest radiograph."}}' {url}/v1/images/generations

  API documentation: {url}/docs   Stop: Ctrl-C
"""


async def serve_forever(settings: Settings, console: Console) -> int:
    """Serve until interrupted; returns the process's exit status."""
    logs.configure(human=console.is_terminal)
    share_arenas()
    # Where every thread is: what an operator asks of a process that does not move.
    faulthandler.register(signal.SIGUSR1, file=2)
    # A GPU's driver keeps what it compiles, for the codec and the engine, in the home folder, which may be read-only.
    os.environ.setdefault("CUDA_CACHE_PATH", str((settings.state_dir / "cache" / "cuda").resolve()))
    server = Server(create_app(settings), settings)
    announcement = asyncio.create_task(_announce(server, console))
    try:
        return await server.serve()
    finally:
        announcement.cancel()


async def _announce(server: Server, console: Console) -> None:
    if await wait_until_ready(server.lifecycle, console):
        console.print(f"Serving at {server.url}", style="bold")
        console.print(_CURLS.format(url=server.url), markup=False, soft_wrap=True)
    else:
        console.print("The service did not start; the log above says why.", style="red")
