"""ASGI middleware next to the routes: HEAD wherever GET is, and an answer for errors that nobody foresaw.

The framework's own handler of those stands outside of all middleware: its answer has no request id and no protection,
is counted as none, and the server closes the connection after it.
"""

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.asgi.body_limit import BodyRefused
from app.api.http.problems import refusal, unexpected
from app.errors import ClientGone


class Shell:
    """Around every route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, started = scope["method"], False

        async def noted(message: Message) -> None:
            nonlocal started
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
        except Exception as error:
            if started:
                raise  # the answer is broken off, and the connection with it
            scope["method"] = method
            await unexpected(Request(scope), error)(scope, receive, noted)
        finally:
            scope["method"] = method
