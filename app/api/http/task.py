"""The one pattern of the routes that use the model: a task runs, and its result or its events go to the client."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from fastapi import Response

from app.api.http.context import Context
from app.api.http.sse import respond_with_events
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


async def respond(context: Context, task: Task[T], *, stream: bool) -> Response:
    """Run a task while its client is connected and its deadline is ahead; respond whole, or with events as they come.

    Raises CxrError; a stream raises what happens before its first event.
    """
    if stream:
        items = stream_events(lambda emit: context.while_connected(task.run(emit)))
        return await respond_with_events(context.request, items, task.events)
    return await task.respond(await context.while_connected(task.run()))
