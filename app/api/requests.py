"""What the routes share: the running services, deadlines, disconnects, content negotiation."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from app.errors import (
    ClientGone,
    DeadlineExceeded,
    InvalidRequest,
    MalformedInput,
    NotAcceptable,
    UnsupportedMedia,
)
from app.lifecycle import Lifecycle
from app.services import Services
from app.settings import LimitsSettings, Settings

T = TypeVar("T")


# Coroutines, since the framework runs plain functions on threads, at several switches of the interpreter a request.
async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _lifecycle(request: Request) -> Lifecycle:
    lifecycle: Lifecycle = request.app.state.lifecycle
    return lifecycle


async def _services(request: Request) -> Services:
    return (await _lifecycle(request)).services_when_ready()


async def _limits(request: Request) -> LimitsSettings:
    return (await _settings(request)).limits


SettingsOf = Annotated[Settings, Depends(_settings)]
LifecycleOf = Annotated[Lifecycle, Depends(_lifecycle)]
ServicesOf = Annotated[Services, Depends(_services)]
LimitsOf = Annotated[LimitsSettings, Depends(_limits)]


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def while_connected(request: Request, limits: LimitsSettings, work: Coroutine[Any, Any, T]) -> T:
    """Result of `work`, which is cancelled when the client leaves or the deadline passes.

    Raises DeadlineExceeded, ClientGone, and whatever `work` raises.
    """
    job = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_left(request))
    try:
        done, _ = await asyncio.wait(
            {job, watcher}, timeout=limits.deadline_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if job in done:
            return job.result()
        if watcher in done:
            raise ClientGone("The client left.")
        raise DeadlineExceeded(f"The request took longer than {limits.deadline_seconds:g} seconds.")
    finally:
        watcher.cancel()
        job.cancel()
        await asyncio.gather(job, watcher, return_exceptions=True)


def require_content_type(media_type: str) -> Any:
    """A dependency that refuses any other Content-Type with 415."""

    async def check(request: Request) -> None:
        given = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if given != media_type:
            raise UnsupportedMedia(f"Send the request as {media_type}.", code="unsupported_media")
        if media_type == "multipart/form-data" and "boundary=" not in request.headers["content-type"]:
            raise MalformedInput("The multipart request has no boundary.")

    return Depends(check)


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


def within(name: str, value: int | None, limit: int) -> None:
    """Refuse a count above its limit. Raises InvalidRequest."""
    if value is not None and value > limit:
        raise InvalidRequest(f"{name}: {value} is more than the limit of {limit}")
