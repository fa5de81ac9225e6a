"""ASGI middleware around every request: its id, its span, its line in the access log, its metrics."""

import re
import time
from functools import cache

import structlog
from opentelemetry.trace import SpanKind
from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.asgi.headers import header_of, raw, replaced
from app.api.asgi.prefix import route_path
from app.api.request_scope import RequestScope
from app.api.rules import rule_of
from app.api.state import ServiceState
from app.ids import new_id
from app.inference.lifecycle import Phase
from app.telemetry import tracing
from app.telemetry.metrics import REQUEST_SECONDS, REQUESTS, REQUESTS_IN_FLIGHT

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_TRACE_HEADERS = ("traceparent", "tracestate")
_SHED_LOG_SECONDS = 1.0


class RequestContext:
    """Gives every request an id and its path's rule, logs its end, and counts it by route template.

    Requests that were refused unread for being too many are counted one by one and logged together.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # Bound once: the proxy that get_logger returns makes a logger anew for every line.
        self._log = structlog.get_logger("app.access").bind()
        self._shed = 0
        self._shed_logged = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header_of(scope, b"x-request-id")
        # An id that could break a log line or a header is replaced, not echoed.
        request_id = given if _REQUEST_ID.fullmatch(given) else new_id()
        path = route_path(scope)
        context = scope["cxr"] = RequestScope(request_id, rule_of(path), path)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started, status = time.perf_counter(), 0
        state: ServiceState = scope["app"].state.service

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ours = {"X-Request-Id": request_id}
                if state.lifecycle.phase is Phase.DRAINING:
                    # The client is to open its next connection to another node.
                    ours["Connection"] = "close"
                message["headers"] = replaced(message["headers"], raw(ours))
            await send(message)

        REQUESTS_IN_FLIGHT.inc()
        trace = {name: value for name in _TRACE_HEADERS if (value := header_of(scope, name.encode()))}
        try:
            with tracing.span(scope["method"], trace, SpanKind.SERVER, request_id=request_id) as span:
                try:
                    await self._app(scope, receive, send_with_id)
                finally:
                    # The template, never the path: a path may hold a patient's UIDs, and each would be a new series.
                    route = getattr(scope.get("route"), "path", "unmatched")
                    if span.is_recording():
                        span.update_name(f"{scope['method']} {route}")
                        span.set_attributes({"http.route": route, "http.response.status_code": status})
        finally:
            REQUESTS_IN_FLIGHT.dec()
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            _counted(route, method, status, context.rule.task).inc()
            if context.shed:
                self._log_shed()
            else:
                REQUEST_SECONDS.labels(route).observe(seconds)
                self._log.info("request", route=route, method=method, status=status, ms=round(seconds * 1000.0, 1))

    def _log_shed(self) -> None:
        self._shed += 1
        now = time.monotonic()
        if now - self._shed_logged >= _SHED_LOG_SECONDS:
            self._log.warning("too many requests", refused=self._shed)
            self._shed, self._shed_logged = 0, now


@cache
def _counted(route: str, method: str, status: int, task: str) -> Counter:
    return REQUESTS.labels(route, method, str(status), task)
