"""ASGI middleware next to the routes: HEAD wherever GET is, and an answer for errors that nobody foresaw.

The framework's own handler of those stands outside of all middleware: its answer has no request id and no protection,
is counted as none, and the server closes the connection after it. So it does with requests that it cancels at the end
of a drain.
"""

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.asgi.body_limit import BodyRefused
from app.api.http.problems import refusal, unexpected
from app.api.http.sse import EVENT_STREAM, error_event
from app.api.state import state_of
from app.errors import ClientGone
from app.inference.lifecycle import Phase

_EVENTS = (b"content-type", f"{EVENT_STREAM}; charset=utf-8".encode())


class Shell:
    """Around every route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, started, streams = scope["method"], False, False

        async def noted(message: Message) -> None:
            nonlocal started, streams
            if message["type"] == "http.response.start":
                streams = _EVENTS in message["headers"]
            elif not message.get("more_body"):
                streams = False
            started = True
            # The server leaves the body out of an answer to HEAD (RFC 9110 9.3.2).
            scope["method"] = method
            await send(message)

        if method == "HEAD":
            scope["method"] = "GET"
        try:
            await self._app(scope, receive, noted)
        except BodyRefused:
            raise  # answered where the body is bounded
        except ClientDisconnect:
            if not started:
                await refusal(Request(scope), ClientGone("The client left."))(scope, receive, noted)
        except (Exception, asyncio.CancelledError) as error:
            scope["method"] = method
            request = Request(scope)
            if (not started or streams) and _is_cut_short(request):
                why = state_of(request).lifecycle.unavailable()
                if started:
                    await noted({"type": "http.response.body", "body": error_event(request, why)})
                else:
                    await refusal(request, why)(scope, receive, noted)
            elif started or isinstance(error, asyncio.CancelledError):
                raise  # the answer is broken off, and the connection with it
            else:
                await unexpected(request, error)(scope, receive, noted)
        finally:
            scope["method"] = method


def _is_cut_short(request: Request) -> bool:
    """Whether the server has cancelled this request, since the drain has reached its limit; then it is no longer."""
    task, phase = asyncio.current_task(), state_of(request).lifecycle.phase
    if task is None or not task.cancelling() or phase not in (Phase.DRAINING, Phase.FAILED):
        return False
    task.uncancel()
    return True
