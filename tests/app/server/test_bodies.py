"""Bodies that are answered before they are there: their connections go on or end, and never stay without a timer."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from app.server import http_protocol
from app.server.run import Server
from app.settings import Settings
from tests.support.service import Service

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /v1/reports HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"


@pytest.fixture
async def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A server on fakes, which is soon tired of waiting."""
    monkeypatch.setattr(http_protocol, "REST_SECONDS", 0.4)
    free = settings.model_copy(update={"port": 0})
    async with Server(Service(free).app, free).running() as started:
        started._server.config.timeout_keep_alive = 1
        yield started


class Connection:
    """A client that looks at what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.began = time.monotonic()

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self) -> tuple[bytes, float]:
        """What else comes until the server ends the connection, and when it does."""
        found = await asyncio.wait_for(self.reader.read(-1), 5.0)
        return found, time.monotonic() - self.began


@pytest.fixture
async def connection(server: Server) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    yield Connection(reader, writer)
    writer.close()


@pytest.mark.parametrize("head", [HEAD, POST], ids=["answered", "refused"])
@pytest.mark.parametrize("body", [[], [b"x"], [b"x"] * 20], ids=["nothing", "a byte", "dripping"])
async def test_a_body_that_does_not_come_ends_its_connection(
    connection: Connection, head: bytes, body: list[bytes]
) -> None:
    await connection.say(head + b"Content-Length: 500000\r\n\r\n")
    await connection.reader.readuntil(b"\r\n\r\n")
    ending = asyncio.create_task(connection.rest())
    for piece in body:
        await connection.say(piece)
        await asyncio.sleep(0.02)
    assert 0.3 < (await ending)[1] < 2.0


async def test_a_body_that_flows_on_after_its_refusal_is_not_read_for_long(
    server: Server, connection: Connection
) -> None:
    await connection.say(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    assert b" 415 " in await connection.reader.readuntil(b"\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - connection.began < 5.0:
            await connection.say(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await asyncio.sleep(0.005)
    assert time.monotonic() - connection.began < 3.0
    assert not server._server.server_state.connections


async def test_a_small_body_that_comes_a_packet_later_keeps_its_connection(connection: Connection) -> None:
    for _ in range(3):
        await connection.say(HEAD + b"Content-Length: 5\r\n\r\n")
        assert b" 200 " in await connection.reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        await connection.say(b"12345")
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    await connection.say(HEAD + b"\r\n")
    assert b" 200 " in await connection.reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize("late", [b"12345", b"12345\r\n\r\n"], ids=["a late body", "blank lines"])
async def test_a_connection_that_rests_after_a_late_body_ends_as_any_other(connection: Connection, late: bytes) -> None:
    await connection.say(HEAD + b"Content-Length: 5\r\n\r\n")
    await connection.reader.readuntil(b"\r\n\r\n")
    await connection.say(late)
    assert 0.8 < (await connection.rest())[1] < 2.5


async def test_an_answer_that_closes_reaches_a_client_that_sends_on(connection: Connection) -> None:
    size = 300_000_000
    await connection.say(POST + b"Content-Length: %d\r\n\r\n" % size)
    for _ in range(20):
        await connection.say(b"x" * 60_000)
        await asyncio.sleep(0.005)
    found, _ = await connection.rest()
    assert b" 413 " in found.splitlines()[0]
    assert found.rstrip().endswith(b"}")
