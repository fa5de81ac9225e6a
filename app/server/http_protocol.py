"""HTTP/1.1 as the server reads it, under limits: a request's head is bounded in bytes and in time, so is what is left
of a body that is answered already, and a client that does not read its answer is let go.

The parser has no limits of its own, and joins a header that comes in pieces anew with each piece.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.asgi.headers import raw
from app.api.http.problems import body_of
from app.ids import new_id
from app.telemetry.metrics import REJECTED

log = structlog.get_logger(__name__)

# Browsers send a few kilobytes, a bearer token has up to eight; proxies refuse more than 32 kB by default, too.
MOST_HEAD_BYTES = 32_768
HEAD_SECONDS = 20.0
# An answer waits in buffers of so many bytes, ours and the kernel's: whoever takes less in a minute takes nothing.
UNREAD_SECONDS = 60.0
# A body that comes a packet later than the head keeps its connection; one that nobody waits for ends it.
REST_SECONDS = 2.0
_UNSENT_BYTES = 65_536
_LINGER_SECONDS = 0.5
_TOO_LARGE = (431, "head_too_large", f"A request's line and headers may have {MOST_HEAD_BYTES} bytes.")
_TOO_SLOW = (408, "head_timeout", "The request's headers did not come in time.")
_MALFORMED = (400, "malformed", "This is not HTTP/1.1.")
Refusal = tuple[int, str, str]


class _Gently:
    """A connection as an answer sees it, which closes it at its end: `close` is the protocol's."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.close = close
        self.write = transport.write
        self.is_closing = transport.is_closing


class BoundedHttpProtocol(HttpToolsProtocol):
    """Refuses a head of more than 32 kB (431), and one that is not there after a while (408). Breaks a connection off
    whose client reads nothing for a minute while an answer waits, and ends one on which the rest of a body that is
    answered does not come.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._head_bytes = 0
        self._refused = False
        self._refusal: bytes | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first head is to come."""
        super().connection_made(transport)
        self._expect_head()
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            # Otherwise the kernel takes megabytes at once, and a slow reader looks as one that reads nothing.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._forget_deadline()
        self._forget_rest()
        self._forget_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse no more of a head than it may have; what is behind it is a body's, or the next request."""
        if self._refused:
            return
        while data and self._in_head:
            # Views: what follows a head may be megabytes of a body.
            view, room = memoryview(data), MOST_HEAD_BYTES - self._head_bytes
            piece, data = view[:room], view[room:]  # type: ignore[assignment]
            self._head_bytes += len(piece)
            super().data_received(piece)  # type: ignore[arg-type]
            if self._refused or self.transport.is_closing():
                return
            if self._in_head and self._head_bytes >= MOST_HEAD_BYTES:
                self._refuse(_TOO_LARGE)
                return
        if data:
            super().data_received(data)
        self._wait()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True
        if self._deadline is None:
            # Behind another request on its connection: what has come of it stands in what was just fed.
            self._expect_head()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._in_head, self._head_bytes = False, 0
        self._forget_deadline()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.cycle.transport = _Gently(self.transport, self._close)  # type: ignore[assignment]

    def on_message_complete(self) -> None:
        """A request is there as a whole; the next head may come."""
        super().on_message_complete()
        self._in_head = True

    def on_response_complete(self) -> None:
        """A request is answered; its body may be on its way yet."""
        last = not self.pipeline
        if self._refusal is not None and last:
            self._send_refusal()
        elif self._refusal is not None or not self._refused:
            super().on_response_complete()
            self._wait()

    def pause_writing(self) -> None:
        """The connection's buffer is full."""
        super().pause_writing()
        self._unread = asyncio.get_running_loop().call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read on."""
        self._forget_unread()
        super().resume_writing()

    def _wait(self) -> None:
        """See that there is a timer wherever nothing is under way: any byte ends the one that uvicorn has set."""
        if self._refused or self.transport.is_closing() or self.cycle is None or not self.cycle.response_complete:
            return
        loop = asyncio.get_running_loop()
        if not self._in_head:
            self._unset_keepalive_if_required()
            if self._rest is None:
                self._rest = loop.call_later(REST_SECONDS, self._linger, _LINGER_SECONDS)
            return
        self._forget_rest()
        if self._deadline is None and self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _close(self) -> None:
        """Close behind an answer that says so."""
        if self._in_head:
            self.transport.close()
        else:
            self._linger(REST_SECONDS)

    def _linger(self, seconds: float) -> None:
        """Send nothing more, and read what comes without looking at it until the client closes or time is up.

        Closed at once, with more on its way, the connection would be reset and the answer lost.
        """
        self._refused = True
        if not self.transport.is_closing():
            if self.transport.can_write_eof():
                self.transport.write_eof()
            asyncio.get_running_loop().call_later(seconds, self.transport.close)

    def _forget_rest(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def _forget_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _expect_head(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._refuse, _TOO_SLOW)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def send_400_response(self, msg: str) -> None:
        """What has come is no HTTP."""
        self._refuse(_MALFORMED)

    def _refuse(self, refusal: Refusal) -> None:
        """Read no more, and answer so, once what came before it on the connection is answered."""
        self._forget_deadline()
        if self._refused or self.transport.is_closing():
            return
        self._refused, cycle = True, self.cycle
        self._refusal = _problem(*refusal, self.server_state.default_headers)
        if cycle is not None and not cycle.response_complete and not self._in_head:
            # The body of this request is at fault: the refusal is its answer.
            begun = cycle.response_started
            cycle.disconnected = True
            cycle.message_event.set()
            if self.pipeline:
                self.pipeline.popleft()
            elif begun:
                self.transport.close()
            else:
                self._send_refusal()
        elif cycle is None or cycle.response_complete:
            self._send_refusal()

    def _send_refusal(self) -> None:
        refusal, self._refusal = self._refusal, None
        if refusal is not None and not self.transport.is_closing():
            self.transport.write(refusal)
            self._linger(_LINGER_SECONDS)


def _problem(status: int, code: str, detail: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """An answer as the application gives it, for what does not get as far as there."""
    title, request_id = HTTPStatus(status).phrase, new_id()
    body, media_type = body_of("", status, title, detail, code, request_id)
    content = json.dumps(body, separators=(",", ":")).encode()
    ours = {
        "Content-Type": media_type,
        "Content-Length": str(len(content)),
        "X-Request-Id": request_id,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {title}".encode(), *(b": ".join(pair) for pair in (*headers, *raw(ours)))]
    REJECTED.labels(code=code).inc()
    log.info("refused unread", code=code, status=status, request_id=request_id)
    return b"\r\n".join([*lines, b"", content])
