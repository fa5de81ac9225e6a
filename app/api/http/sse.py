"""Server-sent events: what a job shows goes to the client as it comes."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from app.api.http.problems import body_of, status_of
from app.api.http.requests import deadline_of, left
from app.errors import ClientGone, CxrError, DeadlineExceeded
from app.inference.generation import Show, told
from app.inference.priority import Share
from app.settings import LimitsSettings

T = TypeVar("T")
EVENT_STREAM = "text/event-stream"
_KEEP_ALIVE_SECONDS = 10.0


def event(data: dict[str, Any], name: str | None = None) -> bytes:
    """One event with a JSON body."""
    return format_sse_event(data_str=json.dumps(data, separators=(",", ":")), event=name)


async def respond_with_events(
    request: Request,
    limits: LimitsSettings,
    work: Callable[[Show], Awaitable[T]],
    events: Callable[[object], Awaitable[Iterable[bytes]] | Iterable[bytes]],
) -> StreamingResponse:
    """`work` as a stream: `events` turns what it shows, and its result, into events.

    What fails before the first of them is an ordinary error response; later it is an `error` event. The work ends when
    the client leaves or the deadline passes. Comments keep the connection open meanwhile.
    """
    seconds = deadline_of(request, limits)
    items = told(work)
    first = asyncio.ensure_future(anext(items))
    try:
        await asyncio.wait({first}, timeout=_KEEP_ALIVE_SECONDS)
        if first.done() and first.exception() is not None:
            first.result()
    except BaseException:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await items.aclose()
        raise
    until = asyncio.get_running_loop().time() + seconds
    body = _body(request, items, first, until, events)
    # Proxies that buffer would show a drawing when it is done.
    return EventSourceResponse(body, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


async def _body(
    request: Request,
    items: AsyncGenerator[object],
    first: "asyncio.Future[Any]",
    until: float,
    events: Callable[[object], Awaitable[Iterable[bytes]] | Iterable[bytes]],
) -> AsyncIterator[bytes]:
    share: Share = request.app.state.share
    gone: asyncio.Future[Any] = asyncio.ensure_future(left(request))
    pending: asyncio.Future[Any] = first
    loop = asyncio.get_running_loop()
    try:
        with share.interactive():
            while True:
                wait = min(_KEEP_ALIVE_SECONDS, max(0.0, until - loop.time()))
                done, _ = await asyncio.wait([pending, gone], timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                if pending in done:
                    try:
                        item = pending.result()
                    except StopAsyncIteration:
                        return
                    made = events(item)
                    for chunk in await made if isinstance(made, Awaitable) else made:
                        yield chunk
                    pending = asyncio.ensure_future(anext(items))
                elif gone in done:
                    raise ClientGone("The client left.")
                elif loop.time() >= until:
                    raise DeadlineExceeded("The request took longer than it may.")
                else:
                    yield KEEPALIVE_COMMENT
    except CxrError as error:
        request.app.state.lifecycle.note(error)
        yield _error(request, error)
    finally:
        for task in (pending, gone):
            task.cancel()
        await asyncio.gather(pending, gone, return_exceptions=True)
        await items.aclose()


def _error(request: Request, error: CxrError) -> bytes:
    status, title = status_of(error)
    identity = str(request.scope.get("cxr_request_id", ""))
    body, media_type = body_of(request.url.path, status, title, error.detail, error.code, identity)
    return event({**body, "type": "error"} if media_type == "application/json" else body, "error")
