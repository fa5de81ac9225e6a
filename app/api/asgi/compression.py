"""Compressed answers where nothing of a client is in them: the page, the documentation, metrics.

What has a client's words and a patient's findings in one answer stays as it is: its compressed length would tell of
them (BREACH, CVE-2013-3587). Images are compressed already.
"""

from collections.abc import Iterable

from multipart import parse_options_header
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.request_scope import request_scope

_PATHS = ("/ui/", "/docs", "/openapi.json", "/static-offline-docs/", "/metrics")
_ACCEPTED = b"accept-encoding"


class Compression:
    """ASGI middleware: gzip for clients that accept it, on paths whose answers are the same for all."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressing = GZipMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not request_scope(scope).path.startswith(_PATHS):
            await self._app(scope, receive, send)
            return
        others = [pair for pair in scope["headers"] if pair[0] != _ACCEPTED]
        accepted = (value.decode("latin-1") for name, value in scope["headers"] if name == _ACCEPTED)
        # The framework looks for the word alone, which `gzip;q=0` has, too, and `*` has not.
        understood = b"gzip" if _likes_gzip(accepted) else b"identity"
        scope["headers"] = [*others, (_ACCEPTED, understood)]
        await self._compressing(scope, receive, send)


def _likes_gzip(headers: Iterable[str]) -> bool:
    """Whether Accept-Encoding admits gzip, and does not like an answer as it is better (RFC 9110 12.5.3)."""
    weights: dict[str, float] = {}
    for element in ",".join(headers).split(","):
        name, parameters = parse_options_header(element)
        try:
            weight = float(parameters.get("q", "1"))
        except ValueError:
            weight = 0.0
        weights[name.strip().lower()] = weight
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return 0.0 < gzip <= 1.0 and gzip >= weights.get("identity", 0.0)
