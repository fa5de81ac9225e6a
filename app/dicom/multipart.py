"""multipart/related, read and written as it comes and goes (RFC 2046 5.1, RFC 2387): no part is ever in memory."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from email.message import Message
from pathlib import Path
from typing import BinaryIO, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from app.errors import MalformedInput, UnsupportedMedia

_MOST_HEADERS, _LONGEST_HEADER = 16, 4_096
_CHUNK = 262_144
_MOST_PARTS_AT_ONCE, _PIECE = 8, 2_048
# RFC 2046 5.1.1 allows 70 characters; Orthanc sends 73.
_LONGEST_BOUNDARY = 128


class Sink(Protocol):
    """Takes the parts of a request."""

    def open(self, content_type: str) -> BinaryIO | None:
        """A file for a part that begins, or None to pass over it."""

    def close(self, file: BinaryIO | None, *, complete: bool) -> None:
        """The part has ended, or has broken off."""


def boundary_of(content_type: str) -> bytes:
    """The boundary of a STOW-RS request (PS3.18 10.5.1). Raises MalformedInput, UnsupportedMedia."""
    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_type() != "multipart/related":
        raise UnsupportedMedia("Send multipart/related with parts of application/dicom.")
    kind = str(message.get_param("type", "application/dicom")).lower()
    if kind != "application/dicom":
        raise UnsupportedMedia("Only parts of application/dicom are taken.")
    boundary = message.get_param("boundary")
    if not isinstance(boundary, str) or not 0 < len(boundary) <= _LONGEST_BOUNDARY or not boundary.isascii():
        raise MalformedInput("The multipart request has no valid boundary.")
    return boundary.encode()


class _Parts:
    """Callbacks of the parser that hand parts to a sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._name, self._value = bytearray(), bytearray()
        self._content_type = "application/dicom"
        self.file: BinaryIO | None = None
        self.inside = False
        self.ended = False

    def on_part_begin(self) -> None:
        self._content_type = "application/dicom"

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if bytes(self._name).lower() == b"content-type":
            self._content_type = bytes(self._value).decode("latin-1").split(";")[0].strip().lower()
        self._name.clear()
        self._value.clear()

    def on_headers_finished(self) -> None:
        self.inside = True
        self.file = self._sink.open(self._content_type)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.file is not None:
            self.file.write(data[start:end])

    def on_part_end(self) -> None:
        self.inside = False
        self._sink.close(self.file, complete=True)
        self.file = None

    def on_end(self) -> None:
        self.ended = True


async def read_parts(
    boundary: bytes, body: AsyncIterator[bytes], sink: Sink, after_chunk: Callable[[], Awaitable[None]]
) -> bool:
    """Feed a body's parts to the sink; `after_chunk` lets the sink catch up. Returns whether the body was well formed.

    What stands before the first boundary and after the last is passed over.
    """
    parts = _Parts(sink)
    names = [name for name in dir(parts) if name.startswith("on_")]
    parser = MultipartParser(
        boundary,
        {name: getattr(parts, name) for name in names},  # type: ignore[arg-type]
        max_header_count=_MOST_HEADERS,
        max_header_size=_LONGEST_HEADER,
    )
    opening, waiting = b"--" + boundary, b""
    well_formed = True
    try:
        async for chunk in body:
            if not chunk or parts.ended:
                continue
            if opening:
                waiting += chunk
                position = waiting.find(opening)
                if position < 0:
                    waiting = waiting[-len(opening) :]
                    continue
                chunk, opening = waiting[position:], b""
            first, *others = _pieces(chunk, b"\r\n--" + boundary)
            parser.write(first)
            await after_chunk()
            for piece in others:
                await asyncio.sleep(0)
                parser.write(piece)
                await after_chunk()
        if not opening:
            parser.finalize()
    except FormParserError:
        well_formed = False
    finally:
        if parts.inside:
            sink.close(parts.file, complete=False)
    return well_formed and parts.ended


def _pieces(chunk: bytes, delimiter: bytes) -> Sequence[bytes]:
    """A chunk to parse in one go, or where many parts are in it in pieces, between which others have their turn."""
    if chunk.count(delimiter) <= _MOST_PARTS_AT_ONCE:
        return (chunk,)
    return [chunk[at : at + _PIECE] for at in range(0, len(chunk), _PIECE)]


class Source(Protocol):
    """What a part is read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, none at the end."""

    def close(self) -> None:
        """Nothing is read any more."""


def write_parts(files: Sequence[Path], boundary: str) -> AsyncGenerator[bytes]:
    """A multipart/related body of Part 10 files, read as it is sent."""

    async def parts() -> AsyncIterator[tuple[str, Source]]:
        for path in files:
            yield "application/dicom", path.open("rb")

    return write_sources(parts(), boundary)


async def write_sources(parts: AsyncIterator[tuple[str, Source]], boundary: str) -> AsyncGenerator[bytes]:
    """A multipart/related body of parts with their media types, each read as it is sent and closed then."""
    async for media_type, source in parts:
        with contextlib.closing(source):  # who takes the body may leave before the part's first byte
            yield f"--{boundary}\r\nContent-Type: {media_type}\r\n\r\n".encode()
            async for chunk in chunks(source):
                yield chunk
            yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


async def chunks(source: Source) -> AsyncGenerator[bytes]:
    """What a source holds, read as it is sent; it is closed then."""
    try:
        while chunk := await asyncio.to_thread(source.read, _CHUNK):
            yield chunk
    finally:
        source.close()
