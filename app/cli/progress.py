"""Progress of the start, which takes a minute or two."""

import asyncio
import time

from rich.console import Console

from app.inference.lifecycle import Lifecycle, Phase

_LINE_EVERY = 10.0


async def wait_until_ready(lifecycle: Lifecycle, console: Console) -> bool:
    """Show the seconds until the service is ready; returns False where it failed. A terminal gets a spinner, a log a
    line every ten seconds.
    """
    started, printed = time.monotonic(), 0.0
    message = "Starting the engine and the image codec (the first start compiles for a minute or two)"
    with console.status(message) as status:
        while not lifecycle.settled.is_set():
            try:
                async with asyncio.timeout(0.5):
                    await lifecycle.settled.wait()
            except TimeoutError:
                seconds = time.monotonic() - started
                status.update(f"{message}: {seconds:.0f} s")
                if not console.is_terminal and seconds - printed >= _LINE_EVERY:
                    printed = seconds
                    console.print(f"{message}: {seconds:.0f} s", soft_wrap=True)
    ready = lifecycle.phase is Phase.READY
    if ready:
        console.print(f"Ready after {time.monotonic() - started:.0f} s.")
    return ready
