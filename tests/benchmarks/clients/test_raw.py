import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from benchmarks.clients.http import Body
from benchmarks.clients.raw import Sender, whole

_REQUEST = whole(Body("/v1/reports", b"image", "text/plain"))


def _with_server(answers: list[bytes], test: Callable[[Sender], Awaitable[None]]) -> tuple[int, list[bytes]]:
    """Run `test` beside a server that answers one request after the other; its connections and what it has read."""
    connections, read = 0, []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while (data := await reader.read(1000)) and (given := answers.pop(0)):
            read.append(data)
            writer.write(given)
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        sender = Sender(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await test(sender)
        sender.close()
        server.close()

    uvloop.run(run())
    return connections, read


def test_answers_come_one_after_the_other_over_one_connection() -> None:
    async def test(sender: Sender) -> None:
        assert await sender.send(_REQUEST) == 429
        assert await sender.send(_REQUEST) == 200

    refused = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nbusy"
    answered = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    assert _with_server([refused, answered], test) == (1, [_REQUEST, _REQUEST])


def test_a_connection_that_breaks_off_is_an_error_and_the_next_request_has_another() -> None:
    async def test(sender: Sender) -> None:
        with pytest.raises(ConnectionResetError):
            await sender.send(_REQUEST)
        assert await sender.send(_REQUEST) == 200

    assert _with_server([b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], test)[0] == 2


async def test_another_answer_than_200_is_an_error_where_one_is_asked_for() -> None:
    async def test(sender: Sender) -> None:
        await sender.answered(_REQUEST)
        with pytest.raises(RuntimeError, match="/v1/reports: 429"):
            await sender.answered(_REQUEST)

    answers = [f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode() for status in ("200 OK", "429 Too Many")]
    await asyncio.to_thread(_with_server, answers, test)
