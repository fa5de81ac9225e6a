"""ASGI middleware: the limit on a body's size, held while it streams in."""

import contextlib

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.asgi.headers import header_of
from app.api.http.problems import respond


class _BodyTooLarge(Exception):
    pass


class BodyLimit:
    """Refuses a body over its limit: by its Content-Length at once, otherwise as soon as it has grown past it.

    Studies, which are never in memory, have `study_limit` bytes, other multipart bodies, which carry images,
    `upload_limit`, and all others, which are parsed in one go on the event loop, `json_limit`.
    """

    def __init__(self, app: ASGIApp, upload_limit: int, json_limit: int, study_limit: int) -> None:
        self._app = app
        self._upload_limit = upload_limit
        self._json_limit = json_limit
        self._study_limit = study_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        multipart = header_of(scope, b"content-type").lower().startswith("multipart/")
        # A chat carries its images inside JSON.
        images = multipart or scope["path"].startswith("/v1/chat/")
        limit = self._upload_limit if images else self._json_limit
        if scope["path"].startswith("/dicom-web/"):
            limit = self._study_limit
        declared = header_of(scope, b"content-length")
        if declared.isdigit() and int(declared) > limit:
            await self._refuse(limit, scope, receive, send)
            return
        received, started, exceeded = 0, False, False

        async def counted() -> Message:
            nonlocal received, exceeded
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                exceeded = True
                raise _BodyTooLarge
            return message

        async def unless_exceeded(message: Message) -> None:
            nonlocal started
            # The framework answers a body that broke off with a 400 of its own; the refusal below says more.
            if not exceeded or started:
                started = True
                await send(message)

        with contextlib.suppress(_BodyTooLarge):
            await self._app(scope, counted, unless_exceeded)
        if exceeded and not started:
            await self._refuse(limit, scope, receive, send)

    async def _refuse(self, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"The body is larger than {limit // 1_000_000} MB."
        # Without closing, the server would go on reading what it has just refused.
        headers = {"Connection": "close"}
        response = respond(Request(scope), 413, "Content too large", detail, "too_large", headers)
        await response(scope, receive, send)
