"""The path below which a proxy offers the service: there exactly once in every request's path, as ASGI has it."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Prefix:
    """ASGI middleware outside of all others: puts the prefix back where a proxy has taken it off.

    The prefix is that of the settings, or else what a trusted proxy says (`app.server.forwarded`).
    """

    def __init__(self, app: ASGIApp, prefix: str = "") -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        path, prefix = str(scope.get("path", "")), self._prefix or str(scope.get("root_path", ""))
        if prefix and path != prefix and not path.startswith(f"{prefix}/"):
            scope["path"] = prefix + path
        await self._app(scope, receive, send)


def route_path(scope: Scope) -> str:
    """A request's path without the prefix, as the router takes it off: rules must not see another path than routes."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path[len(prefix) :]
    return path
