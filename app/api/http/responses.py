"""How models become responses, and error responses as the OpenAPI document shows them."""

from typing import Any

from fastapi import Response

from app.api.schemas.common import WireModel


def respond_json(body: WireModel, *, exclude_none: bool = False) -> Response:
    """A model as JSON, written in one go: the framework makes a dictionary of it first."""
    return Response(body.model_dump_json(exclude_none=exclude_none), media_type="application/json")


class Problem(WireModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


class OpenAIErrorDetail(WireModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIError(WireModel):
    """OpenAI's error object."""

    error: OpenAIErrorDetail
    request_id: str


_MEANING = {
    400: "Malformed request, damaged image, or a field out of bounds",
    401: "No API key, or one that is not valid",
    403: "The key lacks the scope",
    404: "No such resource",
    406: "No representation that the client accepts",
    409: "The resource is not in a state that allows this",
    410: "It was held, and is not any more: removed, missing or damaged; `code` says which",
    413: "More bytes than allowed",
    415: "Not an image that is read here, or the wrong Content-Type",
    422: "Readable, but not a usable frontal chest radiograph, or an Idempotency-Key of another request; see `code`",
    429: "A queue is full, or the key has done as much as it may; see Retry-After",
    500: "One request failed inside",
    503: "Not ready, shutting down, or without its database; see Retry-After",
    504: "The deadline passed",
    507: "The disk is full; see Retry-After",
}


# What the gate in front of every route may answer.
_ALWAYS = (401, 403, 429, 503)


def _documented(statuses: tuple[int, ...], model: type[WireModel], media_type: str) -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {
        status: {"description": _MEANING[status], "model": model, "content": {media_type: {"schema": schema}}}
        for status in (*_ALWAYS, *statuses)
    }


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problem details with these statuses, for a route's documentation."""
    return _documented(statuses, Problem, "application/problem+json")


PROBLEMS = _documented((400, 406, 410, 413, 415, 422, 429, 500, 503, 504), Problem, "application/problem+json")
DRAW_PROBLEMS = _documented((400, 413, 415, 429, 500, 503, 504), Problem, "application/problem+json")


def openai_errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAI's error object with these statuses, for a route's documentation."""
    return _documented(statuses, OpenAIError, "application/json")


OPENAI_ERRORS = openai_errors(400, 404, 413, 415, 422, 429, 500, 503, 504)
OPENAI_READING_ERRORS = openai_errors(400, 404, 413, 415, 422, 429, 500, 503, 504)
