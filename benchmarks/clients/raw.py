"""Whole requests, made once and written to plain sockets: a client that takes less than a tenth of a millisecond for
one, since arrivals at many times what the service can do come from the service's own processors here.
"""

import asyncio
from urllib.parse import urlsplit

from httptools import HttpResponseParser

from benchmarks.clients.http import Body


def whole(body: Body) -> bytes:
    """A POST request as it goes over the wire (RFC 9112)."""
    fields = {
        "Host": "localhost",
        "Accept": body.accept,
        "Content-Type": body.content_type,
        "Content-Length": str(len(body.data)),
    }
    lines = [f"POST {body.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body.data


class Sender:
    """Sends requests to one service over connections that it keeps; opens another where none is free."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "localhost", parts.port or 80
        self._free: list[_Connection] = []

    async def send(self, request: bytes) -> int:
        """The answer's status, once all of it has come. Raises OSError."""
        while self._free:
            connection = self._free.pop()
            if connection.open:
                break
        else:
            _, connection = await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port)
        status = await connection.send(request)
        self._free.append(connection)
        return status

    async def answered(self, request: bytes) -> None:
        """Send a request that shall be answered with 200. Raises RuntimeError for another status, OSError."""
        status = await self.send(request)
        if status != 200:
            raise RuntimeError(f"{request.split(maxsplit=2)[1].decode()}: {status}")

    def close(self) -> None:
        """Close what is free; nothing may be under way."""
        for connection in self._free:
            connection.close()


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._status: asyncio.Future[int] | None = None
        self.open = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self.open = True

    def send(self, request: bytes) -> "asyncio.Future[int]":
        self._status = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._status

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """The parser has read an answer to its end."""
        if self._status is not None and not self._status.done():
            self._status.set_result(self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._status is not None and not self._status.done():
            self._status.set_exception(exc or ConnectionResetError())

    def close(self) -> None:
        self._transport.close()
