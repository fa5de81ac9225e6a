"""HTTP/1.1 as the server reads it, under limits: a request's head is bounded in bytes and in time, and a client that
does not read its answer is let go.

The parser has no limits of its own, and joins a header that comes in pieces anew with each piece.
"""

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Browsers send a few kilobytes, a bearer token has up to eight; proxies refuse more than 32 kB by default, too.
MOST_HEAD_BYTES = 32_768
HEAD_SECONDS = 20.0
# An answer waits in buffers of so many bytes, ours and the kernel's: whoever takes less in a minute takes nothing.
UNREAD_SECONDS = 60.0
_UNSENT_BYTES = 65_536
_LINGER_SECONDS = 0.5
_TOO_LARGE = b"431 Request Header Fields Too Large"
_TOO_SLOW = b"408 Request Timeout"


class BoundedHttpProtocol(HttpToolsProtocol):
    """Refuses a head of more than 32 kB (431), and one that is not there after a while (408). Breaks a connection off
    whose client reads nothing for a minute while an answer waits.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._head_bytes = 0
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
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
            if self.transport.is_closing():
                return
            if self._in_head and self._head_bytes >= MOST_HEAD_BYTES:
                self._refuse(_TOO_LARGE)
                return
        if data:
            super().data_received(data)

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
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request is there as a whole; the next head may come."""
        super().on_message_complete()
        self._in_head = True

    def pause_writing(self) -> None:
        """The connection's buffer is full."""
        super().pause_writing()
        self._unread = asyncio.get_running_loop().call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read on."""
        self._forget_unread()
        super().resume_writing()

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

    def _refuse(self, status: bytes) -> None:
        self._forget_deadline()
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._refused = True
            # Closed at once, with more of the head on its way, the connection would be reset and the answer lost.
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.transport.close)
