"""Compressed answers where nothing of a client is in them: the page, the documentation, metrics.

What has a client's words and a patient's findings in one answer stays as it is: its compressed length would tell of
them (BREACH, CVE-2013-3587). Images are compressed already.
"""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.request_scope import request_scope

_PATHS = ("/ui/", "/docs", "/openapi.json", "/static-offline-docs/", "/metrics")


class Compression:
    """ASGI middleware: gzip for clients that accept it, on paths whose answers are the same for all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressing = GZipMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        compressed = scope["type"] == "http" and request_scope(scope).path.startswith(_PATHS)
        await (self._compressing if compressed else self._app)(scope, receive, send)
