"""ASGI middleware in front of every route: authentication, limits and the audit log, before a body is read."""

from collections.abc import Sequence
from functools import cache

from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.asgi.audit import note_request
from app.api.asgi.headers import RawHeaders, header_of, raw, replaced, without_host
from app.api.asgi.origin import check_host, check_origin, host_of, meant
from app.api.asgi.rate_headers import rate_headers
from app.api.http.idempotency import HEADER
from app.api.http.problems import NOT_OFFERED, refusal
from app.api.request_scope import request_scope
from app.api.rules import Rule
from app.api.state import ServiceState
from app.errors import CxrError, Forbidden, NotFound, Overloaded
from app.security.guard import Guard
from app.security.identity import Identity
from app.settings import LOOPBACK

_IDEMPOTENCY_KEY = HEADER.encode()
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
_REFUSALS = (401, 403)
_REDIRECTIONS = (301, 302, 303, 307, 308)
_HSTS = "max-age=31536000"


class AuthMiddleware:
    """Identifies the client of every request that its path's rule asks one for, and holds it to its limits.

    A request that is one too many for the service costs next to nothing: its body is not read, and it is counted, not
    audited. What a client does past its own limits is audited as everything else.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str], listening: str, origins: Sequence[str] = ()) -> None:
        """`hosts` are the names that the service answers to besides those of the loopback and of `listening`; pages of
        `origins` may send requests, too.
        """
        self._origins = frozenset(origins)
        self._app = app
        self._pages = meant(hosts)
        self._named = bool(hosts)
        self._names = meant((*LOOPBACK, listening, *hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        identity: Identity | None = None
        state: ServiceState = scope["app"].state.service
        context = request_scope(scope)
        rule = context.rule

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ours = _protection(
                    docs=context.path.startswith(_DOCS),
                    tls=scope["scheme"] == "https",
                    private=not rule.is_open,
                    embeddable=rule.embeddable,
                )
                if identity is not None:
                    ours = (*ours, *rate_headers(state.started_guard.limiter, identity))
                message["headers"] = replaced(message["headers"], ours)
                if status in _REDIRECTIONS:
                    message["headers"] = without_host(message["headers"])
            await send(message)

        if rule.is_open:
            try:
                self._check_sender(scope, rule, state.guard)
            except CxrError as error:
                await refusal(Request(scope), error)(scope, receive, send_with_headers)
                return
            await self._app(scope, receive, send_with_headers)
            return
        guard = state.started_guard
        admitted = False
        try:
            self._check_sender(scope, rule, guard)
            identity = await guard.identify(header_of(scope, b"authorization"), header_of(scope, b"x-api-key"))
            _authorise(guard, identity, rule, scope)
            context.identity = identity
            with guard.limiter.admitted(identity, spends=_spends(rule, scope)):
                admitted = True
                await self._app(scope, receive, send_with_headers)
        except CxrError as error:
            context.shed = type(error) is Overloaded and not admitted
            await refusal(Request(scope), error)(scope, receive, send_with_headers)
        finally:
            if state.audit is not None and not context.shed and (rule.audited or status in _REFUSALS):
                note_request(state.audit, scope, identity, status)

    def _check_sender(self, scope: Scope, rule: Rule, guard: Guard | None) -> None:
        """Raises Misdirected, ForeignOrigin, MalformedInput."""
        # Kubelet and Prometheus come by the address of a pod.
        if rule.task != "operations" and (self._named or guard is None or guard.open):
            check_host(scope, self._names)
        else:
            host_of(scope)
        check_origin(scope, self._pages, self._origins)


def _spends(rule: Rule, scope: Scope) -> bool:
    # One that is sent again has been paid for; what it generates otherwise sets its own tokens aside.
    return rule.spends(scope["method"]) and not header_of(scope, _IDEMPOTENCY_KEY)


def _authorise(guard: Guard, identity: Identity, rule: Rule, scope: Scope) -> None:
    try:
        guard.authorise(identity, *rule.scopes(scope["method"]))
    except Forbidden:
        if request_scope(scope).path.startswith("/v1/") and not _is_offered(scope):
            raise NotFound(NOT_OFFERED) from None  # another key would not help
        raise


def _is_offered(scope: Scope) -> bool:
    return any(route.matches(scope)[0] is not Match.NONE for route in scope["app"].routes)


@cache
def _protection(*, docs: bool, tls: bool, private: bool, embeddable: bool) -> RawHeaders:
    headers = {**_HEADERS, "Content-Security-Policy": _DOCS_POLICY if docs else _POLICY}
    if embeddable:
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    if tls:
        headers["Strict-Transport-Security"] = _HSTS
    if private:
        headers["Cache-Control"] = "no-store"
    return raw(headers)
