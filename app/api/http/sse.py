"""Server-sent events: what a task emits goes to the client as it comes."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from app.api.http.problems import body_of, status_of
from app.api.request_scope import request_scope
from app.api.state import state_of
from app.errors import CxrError

T = TypeVar("T")
EVENT_STREAM = "text/event-stream"
# Proxies that buffer would show a drawing when it is done.
STREAM_HEADERS = {
    "content-type": f"{EVENT_STREAM}; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}
_KEEP_ALIVE_SECONDS = 10.0
# What fails within it is an ordinary error response. Then clients and proxies with short time-outs see a byte.
_HEADERS_SECONDS = 0.5


def event(data: dict[str, Any], name: str | None = None) -> bytes:
    """One event with a JSON body."""
    return format_sse_event(data_str=json.dumps(data, separators=(",", ":")), event=name)


async def respond_with_events(
    request: Request, items: AsyncGenerator[T], events: Callable[[T], Awaitable[Iterable[bytes]]]
) -> StreamingResponse:
    """`items` as a stream of the events that `events` makes of each.

    What fails at once, before the first of them, is raised, for an ordinary error response; later it is an `error`
    event. The headers and a comment go out where the first event takes longer, and comments keep the connection open
    between events. `items` is closed when the response ends.
    """
    first = asyncio.ensure_future(anext(items))
    try:
        await asyncio.wait({first}, timeout=_HEADERS_SECONDS)
        if first.done() and first.exception() is not None:
            first.result()
    except BaseException:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await items.aclose()
        raise
    return EventSourceResponse(_body(request, items, first, events), headers=STREAM_HEADERS)


async def _body(
    request: Request,
    items: AsyncGenerator[T],
    pending: "asyncio.Future[T]",
    events: Callable[[T], Awaitable[Iterable[bytes]]],
) -> AsyncIterator[bytes]:
    try:
        if not pending.done():
            yield KEEPALIVE_COMMENT
        while True:
            done, _ = await asyncio.wait({pending}, timeout=_KEEP_ALIVE_SECONDS)
            if not done:
                yield KEEPALIVE_COMMENT
                continue
            try:
                item = pending.result()
            except StopAsyncIteration:
                return
            for chunk in await events(item):
                yield chunk
            pending = asyncio.ensure_future(anext(items))
    except CxrError as error:
        state_of(request).lifecycle.note(error)
        yield error_event(request, error)
    finally:
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)
        await items.aclose()


def error_event(request: Request, error: CxrError) -> bytes:
    """An error as the last event of a stream that has begun."""
    status, title = status_of(error)
    context = request_scope(request.scope)
    body, media_type = body_of(context.path, status, title, error.detail, error.code, context.request_id)
    return event({**body, "type": "error"} if media_type == "application/json" else body, "error")
