"""What the server reads of a request's head, and how long it waits for one."""

import asyncio
import http.client
import io
import json
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from app.main import create_app
from app.server import http_protocol
from app.server.run import Server
from app.settings import Settings
from tests.support.service import Service

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
async def port(settings: Settings) -> AsyncIterator[int]:
    """Where a service on fakes listens."""
    free = settings.model_copy(update={"port": 0})
    service = Service(free)
    assert create_app  # the service's own application
    async with Server(service.app, free).running() as server:
        yield int(server.url.rpartition(":")[2])


async def ask(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """What is answered until the connection ends or nothing comes for a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        while data := await asyncio.wait_for(reader.read(65_536), 1.0):
            answer += data
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return answer


@pytest.mark.parametrize("size", [100, 8_000, 30_000])
async def test_a_usual_head_is_read_in_whatever_pieces(port: int, size: int) -> None:
    whole = HEAD + b"X-A: " + b"a" * size + b"\r\n\r\n"
    assert (await ask(port, whole)).startswith(b"HTTP/1.1 200")
    pieces = [whole[start : start + 997] for start in range(0, len(whole), 997)]
    assert (await ask(port, *pieces)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n",
        HEAD + b"X-A: " + b"a" * 5_000_000,
        HEAD + b"".join(b"X-%d: a\r\n" % number for number in range(20_000)) + b"\r\n",
        HEAD + b"a" * 40_000,
        b"GET /livez?" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["one header", "a header without end", "many headers", "a name", "a path"],
)
async def test_a_head_that_is_too_large_is_431_and_the_others_go_on(port: int, head: bytes) -> None:
    assert (await ask(port, head)).startswith(b"HTTP/1.1 431")
    assert (await ask(port, HEAD + b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_the_limit_is_each_requests_own_on_a_connection(port: int) -> None:
    one = HEAD + b"X-A: " + b"a" * 20_000 + b"\r\n\r\n"
    posted = b"POST /v1/reports HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    answers = await ask(port, one, one, posted, one, one + one + one, pause=0.05)
    assert answers.count(b"HTTP/1.1 200") == 6
    assert answers.count(b"HTTP/1.1 415") == 1


def answers_of(data: bytes) -> list[http.client.HTTPResponse]:
    """Answers as a client reads them, of which each has a length."""
    stream, found = io.BytesIO(data), []
    connection = SimpleNamespace(makefile=lambda mode: stream)
    stream.close = lambda: None  # type: ignore[method-assign]
    while stream.tell() < len(data):
        answer = http.client.HTTPResponse(connection)  # type: ignore[arg-type]
        answer.begin()
        answer.body = answer.read()  # type: ignore[attr-defined]
        found.append(answer)
    return found


def check_refusal(answer: http.client.HTTPResponse, status: int, code: str) -> None:
    body = json.loads(answer.body)  # type: ignore[attr-defined]
    assert (answer.status, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == f"urn:cxr:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-Id"] == body["request_id"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Date"]


REFUSED = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400, "malformed"),
    "a bad header": (HEAD + b"a b\r\n\r\n", 400, "malformed"),
    "a large head": (HEAD + b"X-A: " + b"a" * 80_000, 431, "head_too_large"),
    "half a head": (HEAD, 408, "head_timeout"),
}


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize(("sent", "status", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_no_route_sees_is_refused_in_the_shape_of_all_errors_behind_earlier_answers(
    port: int, sent: bytes, status: int, code: str, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    *earlier, refused = answers_of(await ask(port, (HEAD + b"\r\n") * before + sent))
    assert [answer.status for answer in earlier] == [200] * before
    check_refusal(refused, status, code)


@pytest.mark.parametrize("before", [0, 1, 2])
async def test_a_body_that_is_no_http_is_its_requests_refusal(port: int, before: int) -> None:
    posted = b"POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    posted += b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
    whole = (HEAD + b"\r\n") * before + posted
    for pieces in ([whole, b"no size\r\n"], [whole + b"no size\r\n"]):
        *earlier, refused = answers_of(await ask(port, *pieces, pause=0.2))
        assert [answer.status for answer in earlier] == [200] * before
        check_refusal(refused, 400, "malformed")


@pytest.mark.parametrize("begun", [b"", b"GET", HEAD, HEAD + b"X-A: a"])
async def test_half_a_head_ends_its_connection(port: int, begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    assert (await ask(port, begun)).startswith(b"HTTP/1.1 408")


async def test_a_connection_may_rest_between_requests(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    whole = HEAD + b"\r\n"
    assert (await ask(port, whole, whole, pause=0.5)).count(b"HTTP/1.1 200") == 2


async def _many_answers(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which more is answered than its buffers take."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=4_096)
    writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 80)
    return reader, writer


async def _read_to_end(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while piece := await asyncio.wait_for(reader.read(100_000), 5.0):
        found += piece
    return found


async def test_a_client_that_reads_nothing_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "UNREAD_SECONDS", 0.3)
    reader, writer = await _many_answers(port)
    await asyncio.sleep(1.0)
    assert (await _read_to_end(reader)).count(b"HTTP/1.1 200") < 80
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_reads_slowly_gets_everything(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "UNREAD_SECONDS", 1.5)
    reader, writer = await _many_answers(port)
    found, began = b"", asyncio.get_running_loop().time()
    while found.count(b"HTTP/1.1 200") < 80:
        piece = await asyncio.wait_for(reader.read(100_000), 5.0)
        assert piece
        found += piece
        if asyncio.get_running_loop().time() < began + 3.0:
            await asyncio.sleep(0.05)
    writer.close()
    await writer.wait_closed()
