"""Fewer, larger deltas: a message between processes costs more than the tokens in it."""

import asyncio
import time
from collections.abc import AsyncGenerator

from app.engine.protocol import Delta


def joined(first: Delta, second: Delta) -> Delta:
    """Two deltas of one generation, one after the other, as one."""
    return Delta(
        first.ids + second.ids,
        second.finish_reason,
        first.queue_seconds if first.queue_seconds is not None else second.queue_seconds,
        first.log_likelihoods or second.log_likelihoods,
        first.places + second.places,
    )


async def coalesced(deltas: AsyncGenerator[Delta], seconds: float) -> AsyncGenerator[Delta]:
    """The deltas of a generation, the first and the last at once, those between for at most `seconds` together."""
    held: Delta | None = None
    due = 0.0
    coming: asyncio.Future[Delta | None] | None = None
    try:
        while True:
            if coming is None:
                coming = asyncio.ensure_future(anext(deltas, None))
            patience = None if held is None else max(0.0, due - time.monotonic())
            await asyncio.wait({coming}, timeout=patience)
            if coming.done():
                delta, coming = coming.result(), None
                if delta is None:
                    break
                held = delta if held is None else joined(held, delta)
                if held.finish_reason is None and time.monotonic() < due:
                    continue
            assert held is not None
            yield held
            held, due = None, time.monotonic() + seconds
        if held is not None:
            yield held
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        await deltas.aclose()
