"""Transcoding in confined processes: in pieces, within limits, and the file closed where it fails."""

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydicom.uid import RLELossless

from app.dicom.part10 import to_bytes
from app.errors import InputError, MalformedInput, NotFound, OutOfSpace, Overloaded, TooLarge, UnusableImage
from app.imaging import transcode, wire
from app.imaging.decoder_handle import DecoderGone, DecoderHandle
from app.imaging.transcoder import Transcoder
from app.settings import ImagingSettings
from tests.support.studies import instance, parsed

LIMITS = ImagingSettings(transcode_workers=1, max_transcoded_mb=8, max_queue=1)


class Buffer:
    """A sink in memory, which may run out of room."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.data, self.closed, self.restarts = bytearray(), 0, 0
        self._room = room

    def restart(self) -> None:
        self.data.clear()
        self.restarts += 1

    def write(self, data: bytes) -> None:
        assert len(data) <= wire.PIECE_BYTES
        if len(self.data) + len(data) > self._room:
            raise OutOfSpace("The disk is full.")
        self.data += data

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
async def transcoder() -> AsyncIterator[Transcoder]:
    made = Transcoder(LIMITS)
    yield made
    made.close()


def held(folder: Path, table: int = 0, frames: int = 1) -> Path:
    dataset = parsed(instance(RedPaletteColorLookupTableData=bytes(table)))
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.NumberOfFrames = frames
    file = folder / f"{table}-{frames}.dcm"
    file.write_bytes(to_bytes(dataset))
    return file


async def test_an_instance_comes_in_pieces_as_it_is_made(transcoder: Transcoder, tmp_path: Path) -> None:
    file, into = held(tmp_path, 5_000_000), Buffer()
    await transcoder.transcode(file, into)
    expected = b"".join(transcode.transcode(io.BytesIO(file.read_bytes()), LIMITS))
    assert bytes(into.data) == expected
    assert (into.closed, into.restarts) == (0, 1)
    value = Buffer()
    await transcoder.bulk(file, "00281201", value)
    assert bytes(value.data) == bytes(5_000_000)


@pytest.mark.parametrize(
    ("table", "frames", "path", "error"),
    [
        (0, 2, None, MalformedInput),
        (9_000_000, 1, None, TooLarge),
        (0, 1, "00281202", NotFound),
        (0, 2, "7FE00010", MalformedInput),
    ],
)
async def test_a_refusal_closes_what_was_begun_and_costs_no_process(
    transcoder: Transcoder, tmp_path: Path, table: int, frames: int, path: str | None, error: type[InputError]
) -> None:
    file, into = held(tmp_path, table, frames), Buffer()
    with pytest.raises(error):
        await (transcoder.transcode(file, into) if path is None else transcoder.bulk(file, path, into))
    assert into.closed == 1
    again = Buffer()
    await transcoder.transcode(held(tmp_path), again)
    assert (bool(again.data), again.closed) == (True, 0)


async def test_a_full_disk_ends_it_and_the_next_is_served(transcoder: Transcoder, tmp_path: Path) -> None:
    file, into = held(tmp_path, 5_000_000), Buffer(room=2_000_000)
    with pytest.raises(OutOfSpace):
        await transcoder.transcode(file, into)
    assert into.closed == 1
    await transcoder.transcode(file, Buffer())


async def test_a_file_that_is_gone_closes_what_was_to_be_written(transcoder: Transcoder, tmp_path: Path) -> None:
    into = Buffer()
    with pytest.raises(FileNotFoundError):
        await transcoder.transcode(tmp_path / "gone", into)
    assert into.closed == 1


async def test_a_full_queue_refuses_and_one_who_leaves_closes_only_what_is_over(
    transcoder: Transcoder, tmp_path: Path
) -> None:
    file = held(tmp_path, 5_000_000)
    await transcoder.transcode(file, Buffer())
    assert transcoder._pool is not None
    (pid,) = transcoder._pool.pids
    os.kill(pid, signal.SIGSTOP)  # the first waits until its process is replaced
    sinks = [Buffer() for _ in range(3)]
    asked = [asyncio.create_task(transcoder.transcode(file, sink)) for sink in sinks]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results].count(Overloaded) == 1
    assert [sink.closed for sink in sinks].count(1) == 1
    left = Buffer()
    task = asyncio.create_task(transcoder.transcode(file, left))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await transcoder.transcode(file, Buffer())
    assert left.closed == 1


async def test_one_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    made = Transcoder(LIMITS.model_copy(update={"transcode_seconds": 0.001}))
    with pytest.raises(UnusableImage) as caught:
        await made.transcode(held(tmp_path), Buffer())
    assert caught.value.code == "decode_timeout"
    made.close()


def test_a_process_that_sends_more_than_an_instance_may_have_is_not_believed(tmp_path: Path) -> None:
    handle = DecoderHandle(LIMITS)
    file = tmp_path / "x.dcm"
    file.write_bytes(instance(RedPaletteColorLookupTableData=bytes(5_000_000)))
    handle._limits = LIMITS.model_copy(update={"max_transcoded_mb": 1})
    with file.open("rb") as stream, pytest.raises(DecoderGone):
        handle.ask(wire.Kind.TRANSCODE, 0, b"", stream.fileno(), Buffer())
    handle.kill()
