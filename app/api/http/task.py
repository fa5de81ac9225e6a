"""The one pattern of the routes that use the model: a task runs, and its result or its events go to the client."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Protocol, TypeVar

from fastapi import Response
from pydantic import BaseModel

from app.api.http.context import Context
from app.api.http.idempotency import KEPT_SECONDS, Once, headers_of
from app.api.http.sse import EVENT_STREAM, STREAM_HEADERS, respond_with_events
from app.inference.events import Emit, Event, Result, stream_events

T = TypeVar("T")


class Task(Protocol[T]):
    """One request for work of the model, and how its result goes over the wire."""

    async def run(self, emit: Emit | None = None) -> T:
        """Do the work; a stream is given what there is so far by `emit`. Raises CxrError."""

    async def respond(self, result: T) -> Response:
        """The whole response."""

    async def events(self, item: Event | Result[T]) -> Iterable[bytes]:
        """The server-sent events of something emitted, or of the result."""


async def respond(
    context: Context,
    task: Task[T],
    asked: BaseModel,
    *,
    stream: bool,
    media_type: str = "application/json",
    kept_seconds: float = KEPT_SECONDS,
) -> Response:
    """Run a task while its client is connected and its deadline is ahead; respond whole, or with events as they come.

    `asked` is the request's body: sent again with its Idempotency-Key within `kept_seconds` it gets the same answer.
    Raises CxrError; a stream raises what happens before its first event.
    """
    once = Once.from_request(context, asked, EVENT_STREAM if stream else media_type)
    if once is not None:
        earlier = await context.while_connected(once.earlier())
        if earlier is not None:
            return earlier
    if stream:
        return await _respond_with_events(context, task, once)
    if once is None:
        return await task.respond(await context.while_connected(task.run()))
    try:
        response = await task.respond(await context.while_connected(task.run()))
        await once.keep(bytes(response.body), headers_of(response), kept_seconds)
    finally:
        await once.release()
    return response


async def _respond_with_events(context: Context, task: Task[T], once: Once | None) -> Response:
    items = stream_events(lambda emit: context.while_connected(task.run(emit)))
    if once is None:
        return await respond_with_events(context.request, items, task.events)
    return await respond_with_events(context.request, _kept_events(items, task, once), _as_they_are)


async def _as_they_are(chunks: list[bytes]) -> Iterable[bytes]:
    return chunks


async def _kept_events(
    items: AsyncGenerator[Event | Result[T]], task: Task[T], once: Once
) -> AsyncGenerator[list[bytes]]:
    """The events of `items`, which are made and kept at the pace of the work, not of the client that reads them."""
    made: asyncio.Queue[list[bytes] | None] = asyncio.Queue()

    async def make() -> None:
        sent: list[bytes] = []
        try:
            async with aclosing(items):
                async for item in items:
                    chunks = list(await task.events(item))
                    sent.extend(chunks)
                    if isinstance(item, Result):
                        await once.keep(b"".join(sent), STREAM_HEADERS)
                    made.put_nowait(chunks)
        finally:
            made.put_nowait(None)

    making = asyncio.create_task(make())
    try:
        while (chunks := await made.get()) is not None:
            yield chunks
        await making
    finally:
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
        await once.release()
