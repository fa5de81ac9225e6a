"""What the routes share: the running services, deadlines, disconnects, content negotiation."""

import asyncio
import contextlib
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

from fastapi import Depends, Request

from app.errors import (
    ClientGone,
    DeadlineExceeded,
    InvalidRequest,
    MalformedInput,
    NotAcceptable,
    UnsupportedMedia,
)
from app.inference.backend import Services
from app.inference.generation import Caller
from app.inference.lifecycle import Lifecycle
from app.inference.priority import Share
from app.security.guard import Guard
from app.security.identity import Identity
from app.settings import LimitsSettings, Settings

T = TypeVar("T")
_TIMEOUT_HEADER = "x-request-timeout"


# Functions that routes call: what the framework does to solve one dependency costs as much as reading a form.
def settings_of(request: Request) -> Settings:
    """The settings in force."""
    settings: Settings = request.app.state.settings
    return settings


def limits_of(request: Request) -> LimitsSettings:
    """The limits in force."""
    return settings_of(request).limits


def lifecycle_of(request: Request) -> Lifecycle:
    """The service's lifecycle."""
    lifecycle: Lifecycle = request.app.state.lifecycle
    return lifecycle


def services_of(request: Request) -> Services:
    """The running services. Raises Unavailable while there are none."""
    return lifecycle_of(request).services_when_ready()


async def left(request: Request) -> None:
    """Returns when the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def deadline_of(request: Request, limits: LimitsSettings) -> float:
    """Seconds that the request may take: the service's limit, or less by X-Request-Timeout. Raises InvalidRequest."""
    given = request.headers.get(_TIMEOUT_HEADER)
    if given is None:
        return limits.deadline_seconds
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < float("inf"):
        raise InvalidRequest("X-Request-Timeout: give a number of seconds above 0.")
    return min(seconds, limits.deadline_seconds)


def caller_of(request: Request) -> Caller:
    """Whom the request's generations are for."""
    guard: Guard = request.app.state.guard
    identity: Identity = request.scope["cxr_identity"]
    return Caller(cache_salt=guard.salt(identity), spend=partial(guard.limiter.spend, identity))


async def while_connected(request: Request, limits: LimitsSettings, work: Coroutine[Any, Any, T]) -> T:
    """Result of `work`, which is cancelled when the client leaves or the deadline passes.

    Raises DeadlineExceeded, ClientGone, and whatever `work` raises.
    """
    try:
        seconds = deadline_of(request, limits)
    except InvalidRequest:
        work.close()
        raise
    share: Share = request.app.state.share
    watcher = asyncio.ensure_future(left(request))
    try:
        async with asyncio.timeout(seconds) as until:
            watcher.add_done_callback(partial(_end_now, until))
            with share.interactive():
                return await work
    except TimeoutError:
        if not until.expired():
            raise
        if watcher.done():
            raise ClientGone("The client left.") from None
        raise DeadlineExceeded(f"The request took longer than {seconds:g} seconds.") from None
    finally:
        watcher.cancel()


def _end_now(until: asyncio.Timeout, watcher: "asyncio.Future[None]") -> None:
    """The client has left: its deadline is now."""
    # The work may have ended in the same turn of the loop, and its deadline with it.
    if not watcher.cancelled():
        with contextlib.suppress(RuntimeError):
            until.reschedule(0.0)


def check_content_type(request: Request, media_type: str) -> None:
    """Refuse any other Content-Type. Raises UnsupportedMedia, and MalformedInput where a boundary is missing."""
    given = request.headers.get("content-type", "")
    if given.split(";")[0].strip().lower() != media_type:
        raise UnsupportedMedia(f"Send the request as {media_type}.", code="unsupported_media")
    if media_type.startswith("multipart/") and "boundary=" not in given:
        raise MalformedInput("The multipart request has no boundary.")


async def _json(request: Request) -> None:
    check_content_type(request, "application/json")


REQUIRE_JSON = Depends(_json)


def negotiate(request: Request, offered: tuple[str, ...]) -> str:
    """The first offered media type that the Accept header admits, by its quality. Raises NotAcceptable."""
    header = request.headers.get("accept", "*/*") or "*/*"
    ranges: list[tuple[float, str]] = []
    for part in header.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((value[2:] for value in parameters if value.startswith("q=")), "1")
        try:
            ranges.append((float(quality), media_range))
        except ValueError:
            continue
    wanted = [media_range for weight, media_range in sorted(ranges, key=lambda pair: -pair[0]) if weight > 0.0]
    for media_range in wanted:
        for media_type in offered:
            if media_range in (media_type, "*/*", f"{media_type.split('/')[0]}/*"):
                return media_type
    raise NotAcceptable(f"This resource is offered as {', '.join(offered)}.")


def check_prompt(name: str, text: str, limits: LimitsSettings) -> None:
    """Refuse a text above the limit. Raises InvalidRequest."""
    if len(text) > limits.max_prompt_chars:
        raise InvalidRequest(
            f"{name}: {len(text)} characters are more than the limit of {limits.max_prompt_chars}",
            code="prompt_too_long",
        )


def within(name: str, value: int | None, limit: int) -> None:
    """Refuse a count above its limit. Raises InvalidRequest."""
    if value is not None and value > limit:
        raise InvalidRequest(f"{name}: {value} is more than the limit of {limit}")
