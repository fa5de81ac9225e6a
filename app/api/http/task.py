"""The one pattern of the routes that use the model: a task runs, and its result or its events go to the client."""

from collections.abc import AsyncGenerator, Iterable
from typing import Protocol, TypeVar

from fastapi import Response
from pydantic import BaseModel

from app.api.http.context import Context
from app.api.http.idempotency import Once, headers_of
from app.api.http.sse import EVENT_STREAM, respond_with_events
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
    context: Context, task: Task[T], asked: BaseModel, *, stream: bool, media_type: str = "application/json"
) -> Response:
    """Run a task while its client is connected and its deadline is ahead; respond whole, or with events as they come.

    `asked` is the request's body: sent again with its Idempotency-Key it gets the same answer. Raises CxrError; a
    stream raises what happens before its first event.
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
    except BaseException:
        await once.release()
        raise
    await once.keep(bytes(response.body), headers_of(response))
    return response


async def _respond_with_events(context: Context, task: Task[T], once: Once | None) -> Response:
    items = stream_events(lambda emit: context.while_connected(task.run(emit)))
    if once is None:
        return await respond_with_events(context.request, items, task.events)
    sent: list[bytes] = []
    kept: list[bool] = []

    async def events(item: Event | Result[T]) -> Iterable[bytes]:
        chunks = list(await task.events(item))
        sent.extend(chunks)
        if isinstance(item, Result):
            await once.keep(b"".join(sent), headers_of(response))
            kept.append(True)
        return chunks

    watched: AsyncGenerator[Event | Result[T]] = once.released_unless_kept(items, kept)
    response = await respond_with_events(context.request, watched, events)
    return response
