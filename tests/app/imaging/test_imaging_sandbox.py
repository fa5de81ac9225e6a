"""The pool of decoder processes: what it survives, and that at most one request notices."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.errors import DecodersDead, MalformedInput, Overloaded, Unavailable, UnusableImage
from app.imaging import Sandbox, wire
from app.imaging.decoder_handle import DecoderGone, DecodeTimeout
from app.settings import ImagingSettings
from tests.support.service import encoded, gradient

PNG = encoded(gradient())
LIMITS = ImagingSettings(workers=1, timeout_seconds=5.0, max_queue=1)


@pytest.fixture
async def pool() -> AsyncIterator[Sandbox]:
    box = Sandbox(LIMITS, 256)
    await box.start()
    yield box
    box.close()


async def test_an_image_comes_back_from_the_other_process(pool: Sandbox) -> None:
    image = await pool.read(PNG)
    assert image.pixels.shape == (256, 256)
    assert (await pool.preview(PNG)).startswith(b"P5")


async def test_a_file_is_read_by_the_process_and_never_by_this_one(pool: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(PNG)
    assert (await pool.read(file)).sha256 == (await pool.read(PNG)).sha256
    (pid,) = pool.pids
    os.kill(pid, signal.SIGKILL)  # the next process is given the file anew
    assert (await pool.read(file)).source == "png"
    with pytest.raises(FileNotFoundError):
        await pool.read(tmp_path / "gone")


async def test_a_refusal_keeps_its_class_and_code_across_the_process(pool: Sandbox) -> None:
    with pytest.raises(MalformedInput) as caught:
        await pool.read(b"")
    assert caught.value.code == "empty"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGTERM])
async def test_a_decoder_that_is_ended_or_stopped_while_idle_is_replaced_and_no_request_fails(
    pool: Sandbox, number: signal.Signals
) -> None:
    for _ in range(2):
        (pid,) = pool.pids
        os.kill(pid, number)
        await asyncio.sleep(0.1)
        assert (await pool.read(PNG)).source == "png"
        assert pool.pids != [pid]
    await pool.probe()
    assert pool.alive


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_decoder_that_is_ended_or_stopped_at_its_work_costs_no_request(number: signal.Signals) -> None:
    box = Sandbox(ImagingSettings(workers=2), 256)
    await box.start()
    large = encoded(gradient(4000, 4000))
    pids = box.pids
    reads = [asyncio.create_task(box.read(large)) for _ in range(6)]
    await asyncio.sleep(0.1)
    for pid in pids:
        os.kill(pid, number)
    assert [image.width for image in await asyncio.gather(*reads)] == [4000] * 6
    box.close()


async def test_an_image_that_takes_too_long_is_refused_and_its_decoder_replaced() -> None:
    box = Sandbox(LIMITS.model_copy(update={"timeout_seconds": 0.05}), 256)
    await box.start()
    with pytest.raises(UnusableImage) as caught:
        await box.read(encoded(gradient(6000, 6000)))
    assert caught.value.code == "decode_timeout"
    await asyncio.sleep(3.0)
    assert len(box.pids) == 1
    box.close()


async def test_an_image_past_the_memory_limit_is_refused_and_its_decoder_replaced() -> None:
    box = Sandbox(LIMITS.model_copy(update={"memory_mb": 900, "timeout_seconds": 30.0}), 256)
    await box.start()
    (before,) = box.pids
    with pytest.raises(UnusableImage) as caught:
        await box.read(encoded(gradient(7900, 7900, 16)))
    assert caught.value.code == "decoder_failed"
    assert (await box.read(PNG)).source == "png"
    assert box.pids != [before]
    box.close()


async def test_closing_ends_a_decode_that_is_under_way_at_once() -> None:
    box = Sandbox(LIMITS, 256)
    await box.start()
    (pid,) = box.pids
    read = asyncio.create_task(box.read(encoded(gradient(4000, 4000))))
    while box.pids:
        await asyncio.sleep(0.01)
    os.kill(pid, signal.SIGSTOP)  # a decode that takes for ever
    box.close()
    with pytest.raises(DecodersDead):
        await read


class _Handle:
    """Stands for a decoder process that does what a test says, request by request."""

    missing: ClassVar[list[str]] = []
    pid = 0
    alive = True
    is_bloated = False

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.killed = False

    def ask(self, *_: object) -> tuple[wire.Reply, bytes]:
        outcome = self.outcomes.pop(0) if self.outcomes else (wire.StateReply(reply="ready"), b"")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def kill(self) -> None:
        self.killed = True


def _pool_of(*handles: Any, waits: tuple[float, ...] = (0.0,)) -> Sandbox:
    left = list(handles)

    def start(_: ImagingSettings) -> Any:
        handle = left.pop(0) if left else OSError("no more")
        if isinstance(handle, Exception):
            raise handle
        return handle

    return Sandbox(LIMITS, 256, start=start, start_waits=waits)


async def test_an_image_that_ends_two_decoders_is_refused() -> None:
    handles = [_Handle(DecoderGone("x")), _Handle(DecoderGone("x")), _Handle()]
    box = _pool_of(*handles)
    await box.start()
    with pytest.raises(UnusableImage) as caught:
        await box.read(PNG)
    assert caught.value.code == "decoder_failed"
    assert [handle.killed for handle in handles] == [True, True, False]
    await box.probe()
    box.close()


@pytest.mark.parametrize(
    "reply",
    [
        (wire.PreviewReply(), b""),
        (wire.StateReply(reply="ready"), b""),
        (wire.RefusalReply(kind="SystemExit", detail="x", code="x"), b""),
        (wire.RefusalReply(kind="Unauthenticated", detail="x", code="x"), b""),
    ],
)
async def test_a_reply_that_is_none_to_the_question_is_a_503(reply: Any) -> None:
    box = _pool_of(_Handle(reply), _Handle())
    await box.start()
    with pytest.raises(Unavailable):
        await box.read(PNG)
    box.close()


async def test_where_no_decoder_can_be_started_the_pool_is_dead_and_says_so() -> None:
    box = _pool_of(_Handle(DecodeTimeout()), OSError("no"), OSError("no"), waits=(0.0, 0.0))
    await box.start()
    with pytest.raises(UnusableImage):
        await box.read(PNG)
    with pytest.raises(DecodersDead):
        await box.probe()
    assert not box.alive
    with pytest.raises(DecodersDead):
        await box.read(PNG)
    box.close()


async def test_a_decoder_that_does_not_start_at_once_is_tried_again() -> None:
    box = _pool_of(OSError("no"), DecoderGone("no"), _Handle(), waits=(0.0, 0.0, 0.0))
    await box.start()
    await box.probe()
    assert box.alive
    box.close()


async def test_more_than_the_queue_holds_is_refused(pool: Sandbox) -> None:
    results = await asyncio.gather(*(pool.read(PNG) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 3
    assert (await pool.read(PNG)).source == "png"


async def test_a_cancelled_read_frees_its_place(pool: Sandbox) -> None:
    for _ in range(4):
        task = asyncio.create_task(pool.read(PNG))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.2)
    assert (await pool.read(PNG)).source == "png"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x80\x04\x95" + b"x" * 40,  # a pickle
        (70_000).to_bytes(4, "little") + (0).to_bytes(8, "little"),
        (2).to_bytes(4, "little") + (2**40).to_bytes(8, "little"),
        (2).to_bytes(4, "little") + (0).to_bytes(8, "little") + b"{}",
        (25).to_bytes(4, "little") + (0).to_bytes(8, "little") + b'{"body":{"reply":"other"}}'[:25],
    ],
)
def test_what_is_no_reply_of_the_layout_is_refused_before_it_is_read(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(1.0)
    theirs.sendall(sent)
    with pytest.raises(ValueError, match=r"."):
        wire.read_reply(ours)
    ours.close()
    theirs.close()
