"""ASGI middleware: the limits on a body's size and on the time that it takes to come, held while it streams in."""

import asyncio
import contextlib
import time
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.asgi.headers import header_of
from app.api.http.problems import respond
from app.api.request_scope import request_scope

# A sender that is silent for as long is asleep or gone, and a body that comes more slowly never ends.
_SILENT_SECONDS = 30.0
_LEAST_BYTES_A_SECOND = 10_000
_LOOK_SECONDS = 1.0


class BodyRefused(Exception):
    """The body is not to be read any further; how it is answered."""

    def __init__(self, status: int, title: str, detail: str, code: str) -> None:
        super().__init__(detail)
        self.answer = (status, title, detail, code)


# Made anew each time: an exception that is kept and raised again keeps the frames of every time.
def _stalled() -> BodyRefused:
    return BodyRefused(408, "Request timeout", "The body did not come in time.", "body_timeout")


class Stalls:
    """Ends reads that wait too long. One look a second at all of them: a timer for each piece of each body costs more
    than the piece.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._ended: set[asyncio.Task[Any]] = set()
        self._look: asyncio.TimerHandle | None = None

    async def watched(self, receive: Receive, until: float) -> Message:
        """The next message, which has to come before `until` by the monotonic clock. Raises BodyRefused."""
        task = asyncio.current_task()
        assert task is not None
        self._waiting[task] = min(until, time.monotonic() + _SILENT_SECONDS)
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._end_stalled)
        try:
            return await receive()
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            task.uncancel()
            raise _stalled() from None
        finally:
            self._waiting.pop(task, None)
            self._ended.discard(task)

    def _end_stalled(self) -> None:
        now, self._look = time.monotonic(), None
        for task, until in self._waiting.items():
            if until < now:
                self._ended.add(task)
                task.cancel()
        if self._waiting:
            self._look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._end_stalled)


class BodyLimit:
    """Refuses a body over its limit: by its Content-Length at once, otherwise as soon as it has grown past it; one that
    stalls (408); and one that is compressed (415).

    Studies, which are never in memory, have `study_limit` bytes, other multipart bodies, which carry images,
    `upload_limit`, chats, which carry images inside JSON, `chat_limit`, and all others, which are parsed in one go,
    `json_limit`. A body has `seconds`, and a second more for each 10 kB.
    """

    def __init__(
        self, app: ASGIApp, *, upload_limit: int, chat_limit: int, json_limit: int, study_limit: int, seconds: float
    ) -> None:
        self._app = app
        self._chat_limit = chat_limit
        self._upload_limit = upload_limit
        self._json_limit = json_limit
        self._study_limit = study_limit
        self._seconds = seconds
        self._stalls = Stalls()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope)
        declared = header_of(scope, b"content-length")
        if declared.isdigit() and int(declared) > limit:
            await _refuse(_too_large(limit), scope, receive, send)
            return
        if header_of(scope, b"content-encoding").lower() not in ("", "identity"):
            await _refuse(_COMPRESSED, scope, receive, send)
            return
        received, started, whole = 0, False, False
        refused: BodyRefused | None = None
        began = time.monotonic()

        async def bounded() -> Message:
            nonlocal received, refused, whole
            if whole:
                return await receive()  # the client's leaving, which may take as long as it likes
            left = began + self._seconds + received / _LEAST_BYTES_A_SECOND
            try:
                message = await self._stalls.watched(receive, left)
            except BodyRefused as error:
                refused = error
                raise
            received += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if received > limit:
                refused = _too_large(limit)
                raise refused
            return message

        async def unless_refused(message: Message) -> None:
            nonlocal started
            # The framework answers a body that broke off with a 400 of its own; the refusal below says more.
            if refused is None or started:
                started = True
                await send(message)

        with contextlib.suppress(BodyRefused):
            await self._app(scope, bounded, unless_refused)
        if refused is not None and not started:
            await _refuse(refused, scope, receive, send)

    def _limit_of(self, scope: Scope) -> int:
        path = request_scope(scope).path
        if path.startswith("/dicom-web/"):
            return self._study_limit
        if header_of(scope, b"content-type").lower().startswith("multipart/"):
            return self._upload_limit
        return self._chat_limit if path.startswith("/v1/chat/") else self._json_limit


_COMPRESSED = BodyRefused(
    415, "Unsupported media type", "Bodies are taken uncompressed: leave Content-Encoding out.", "unsupported_encoding"
)


def _too_large(limit: int) -> BodyRefused:
    return BodyRefused(413, "Content too large", f"The body is larger than {limit // 1_000_000} MB.", "too_large")


async def _refuse(refused: BodyRefused, scope: Scope, receive: Receive, send: Send) -> None:
    status, title, detail, code = refused.answer
    # Without closing, the server would go on reading what it has just refused.
    headers = {"Connection": "close", **({"Accept-Encoding": "identity"} if status == 415 else {})}
    response = respond(Request(scope), status, title, detail, code, headers)
    await response(scope, receive, send)
