"""Exception -> status and body, in one table.

Bodies are RFC 9457 problem details, or OpenAI's error object under OpenAI's paths. No body carries str(exception).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from app import errors
from app.api.request_scope import request_scope
from app.api.state import state_of
from app.store.transient import is_transient
from app.telemetry.metrics import REJECTED

NOT_OFFERED = (
    "Not offered here. This server has /v1/chat/completions, /v1/images/generations, /v1/images/edits, /v1/models, "
    "/v1/reports, /v1/answers, /v1/findings, /v1/evidence and /v1/jobs; /docs lists all."
)

log = structlog.get_logger(__name__)

_NAME_LIMIT = 64
_PLACES = ("body", "query", "path", "header")
_TYPE = re.compile(r"[a-z]*[A-Z]\w*|str|int|float|bool|(?:list|tagged-union|union|function-\w+|constrained-\w+)\b.*")
_WORDS = {"extra_forbidden": "is not known here", "missing": "is missing"}
# A message's role stands for its kind where one is looked for: behind the message's number.
_ROLES = ("user", "system", "developer", "assistant", "tool", "function")
_PARTS = ("text", "image_url", "refusal")
_DEEPEST, _MOST_ERRORS, _MOST_SAID = 16, 20, 5
_NAMED = re.compile(r"([A-Za-z_][\w-]*(?:\.[\w-]+)*): ")
# Below /v1/ everything speaks OpenAI but what is our own.
_OURS = (
    "/v1/reports",
    "/v1/answers",
    "/v1/findings",
    "/v1/evidence",
    "/v1/jobs",
    "/v1/images/tokens",
    "/v1/images/pixels",
    "/v1/images/preview",
    "/v1/images/verify",
)

# The first class that fits counts, so subclasses stand before their base.
STATUS: tuple[tuple[type[errors.CxrError], int, str], ...] = (
    (errors.MalformedInput, 400, "Malformed input"),
    (errors.InvalidRequest, 400, "Invalid request"),
    (errors.Gone, 410, "Gone"),
    (errors.NotFound, 404, "Not found"),
    (errors.NotAcceptable, 406, "Not acceptable"),
    (errors.TooLarge, 413, "Content too large"),
    (errors.UnsupportedMedia, 415, "Unsupported media type"),
    (errors.UnusableImage, 422, "Unusable image"),
    (errors.InputError, 400, "Invalid input"),
    (errors.Conflict, 409, "Conflict"),
    (errors.KeyReused, 422, "Unprocessable content"),
    (errors.Unauthenticated, 401, "Unauthorized"),
    (errors.Forbidden, 403, "Forbidden"),
    (errors.Misdirected, 421, "Misdirected request"),
    (errors.OutOfSpace, 507, "Insufficient storage"),
    (errors.Overloaded, 429, "Too many requests"),
    (errors.Unavailable, 503, "Service unavailable"),
    (errors.FatalError, 503, "Service unavailable"),
    (errors.DeadlineExceeded, 504, "Deadline exceeded"),
    (errors.ResemblesTraining, 422, "Drawing resembles a training image"),
    # For the access log and the metrics: the client is gone. 499 is the customary number.
    (errors.ClientGone, 499, "Client closed request"),
    (errors.WorkerFailed, 500, "Internal error"),
    (errors.CxrError, 500, "Internal error"),
)
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_HTTP_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    400: "malformed",
    413: "too_large",
    415: "unsupported_media",
}


def status_of(error: errors.CxrError) -> tuple[int, str]:
    """Status and title of an exception of the tree."""
    return next((status, title) for kind, status, title in STATUS if isinstance(error, kind))


def speaks_openai(path: str) -> bool:
    """Whether a path's errors have OpenAI's shape."""
    return path.startswith("/v1/") and not path.startswith(_OURS)


def body_of(path: str, status: int, title: str, detail: str, code: str, request_id: str) -> tuple[dict[str, Any], str]:
    """Error body and its media type for a request to `path`. A detail about a field begins with its name."""
    if speaks_openai(path):
        kind = _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        named = _NAMED.match(detail)
        error = {"message": detail, "type": kind, "param": named.group(1) if named else None, "code": code}
        return {"error": error, "request_id": request_id}, "application/json"
    problem = {
        "type": f"urn:cxr:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    return problem, "application/problem+json"


def respond(
    request: Request,
    status: int,
    title: str,
    detail: str,
    code: str,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """An error response in the shape that the path asks for, with further `members` (RFC 9457 3.2)."""
    context = request_scope(request.scope)
    body, media_type = body_of(context.path, status, title, detail, code, context.request_id)
    REJECTED.labels(code=code).inc()
    body |= members or {}
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=media_type)


def _where(item: Mapping[str, Any]) -> str:
    """The field that an error is about, without the names of kinds and types, which tell a client nothing."""
    named: list[str] = []
    location = [part if isinstance(part, int) else str(part)[:_NAME_LIMIT] for part in item["loc"][:_DEEPEST]]
    # The last part of an unknown field is the client's own word.
    own = len(location) - 1 if item["type"] == "extra_forbidden" else len(location)
    for place, part in enumerate(location):
        before = location[place - 1] if place else None
        behind = location[place + 1] if place + 1 < len(location) else None
        of_kind = isinstance(before, int) and (part in _ROLES or (part in _PARTS and part == behind))
        if place == own or not (part in _PLACES or of_kind or _TYPE.fullmatch(str(part))):
            named.append(str(part))
    return ".".join(named)[:_NAME_LIMIT] or "body"


def _words(errors: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with which field, in words without values. Of a field that may be a text or a list, what is said
    of the one is left out where something in the other is wrong.
    """
    found = [(_where(item), item) for item in errors]
    return [
        f"{where}: {_said(item)}"
        for where, item in found
        if not (item["type"] == "string_type" and any(other.startswith(f"{where}.") for other, _ in found))
    ]


def _said(item: Mapping[str, Any]) -> str:
    if item["type"] == "union_tag_invalid":
        # Pydantic's own words quote the value.
        return f"is none of {item['ctx']['expected_tags']}"
    return str(_WORDS.get(item["type"], item["msg"]))


def refusal(request: Request, error: errors.CxrError) -> JSONResponse:
    """The response that an exception of the tree becomes."""
    status, title = status_of(error)
    state_of(request).lifecycle.note(error)
    if status >= 500:
        log.error("request failed", code=error.code, cause=type(error.__cause__).__name__)
    retry_after = getattr(error, "retry_after", 5 if status == 503 else None)
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    seen = {"screen": error.probabilities} if isinstance(error, errors.RefusedByScreen) else {}
    return respond(request, status, title, error.detail, error.code, headers, seen)


async def _on_cxr_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.CxrError)
    return refusal(request, error)


async def _on_database_error(request: Request, error: Exception) -> JSONResponse:
    if not is_transient(error):
        return await _on_unexpected(request, error)
    log.error("the database does not answer", error=type(error).__name__)
    return refusal(request, errors.Unavailable("The database does not answer.", code="database_unavailable"))


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # Pydantic's messages name the rule; the offending value stays out, since it may be a patient's.
    parts = _words(error.errors()[:_MOST_ERRORS])[:_MOST_SAID]
    return respond(request, 400, "Invalid request", "; ".join(parts), "invalid_request")


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _HTTP_CODES.get(error.status_code, "http_error")
    detail = str(error.detail)
    if error.status_code == 404 and request_scope(request.scope).path.startswith("/v1/"):
        detail = NOT_OFFERED
    return respond(request, error.status_code, detail, detail, code, error.headers)


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    return unexpected(request, error)


def unexpected(request: Request, error: Exception) -> JSONResponse:
    """The response that an error becomes which nobody foresaw."""
    log.error("unexpected error", error=type(error).__name__, exc_info=error)
    return respond(request, 500, "Internal error", "The request failed; the log has its request_id.", "internal_error")


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(errors.CxrError, _on_cxr_error)
    app.add_exception_handler(SQLAlchemyError, _on_database_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_unexpected)
