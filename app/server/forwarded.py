"""What a trusted proxy says of the request that it passes on: whom it is from, by which scheme, below which path."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.api.asgi.headers import header_of
from app.settings.access import ROOT_PATH

_PREFIX = re.compile(ROOT_PATH)


class Forwarded:
    """ASGI middleware outside of the application: X-Forwarded-For and -Proto as uvicorn reads them, and
    X-Forwarded-Prefix, which Traefik and others send for the path that they take off. From others they say nothing.
    """

    def __init__(self, app: ASGIApp, proxies: list[str]) -> None:
        self._inner = ProxyHeadersMiddleware(app, proxies)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http":
            client = scope.get("client")
            prefix = header_of(scope, b"x-forwarded-prefix").rstrip("/")
            trusted = client is not None and client[0] in self._inner.trusted_hosts
            if prefix and trusted and _PREFIX.fullmatch(prefix):
                scope["root_path"] = prefix
        await self._inner(scope, receive, send)  # type: ignore[arg-type]
