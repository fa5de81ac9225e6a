"""ASGI middleware in front of every route: authentication, limits and the audit log, before a body is read."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import refusal
from app.api.rules import rule_of
from app.errors import CxrError
from app.security.audit import AuditLog
from app.security.guard import Guard
from app.security.identity import ANONYMOUS

# No page of ours frames, scripts or posts elsewhere; the API documentation needs inline scripts of its package.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_DOCS_POLICY = f"{_POLICY}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
_DOCS = ("/docs", "/openapi")
_HSTS = "max-age=31536000"


class Gate:
    """Identifies the client of every request that its path's rule asks one for, and holds it to its limits."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _protect(scope, MutableHeaders(scope=message))
            await send(message)

        rule = rule_of(scope["path"])
        scope["cxr_identity"] = ANONYMOUS
        if rule.scope is None:
            await self._app(scope, receive, send_with_headers)
            return
        guard: Guard = scope["app"].state.guard
        audit: AuditLog | None = scope["app"].state.audit
        headers = Headers(scope=scope)
        identity = None
        try:
            identity = await guard.identify(headers.get("authorization", ""), headers.get("x-api-key", ""))
            guard.authorise(identity, rule.scope)
            scope["cxr_identity"] = identity
            with guard.limiter.admitted(identity):
                await self._app(scope, receive, send_with_headers)
        except CxrError as error:
            await refusal(Request(scope), error)(scope, receive, send_with_headers)
        finally:
            if audit is not None and rule.task not in ("operations", "models"):
                route = getattr(scope.get("route"), "path", rule.prefix)
                audit.note(
                    "unknown" if identity is None else identity.id,
                    f"{scope['method']} {route}",
                    str(status or "aborted"),
                    request_id=scope.get("cxr_request_id", ""),
                )


def _protect(scope: Scope, headers: MutableHeaders) -> None:
    for name, value in _HEADERS.items():
        headers[name] = value
    headers["Content-Security-Policy"] = _DOCS_POLICY if scope["path"].startswith(_DOCS) else _POLICY
    if scope["scheme"] == "https":
        headers["Strict-Transport-Security"] = _HSTS
    if rule_of(scope["path"]).scope is not None:
        headers["Cache-Control"] = "no-store"
