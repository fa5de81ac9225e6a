"""The digest by which an instance is known to be the same, and its file to be whole."""

import hashlib
import io
from pathlib import Path
from typing import BinaryIO

from app.dicom.opening import Opening, read_opening
from app.dicom.walk import OverLimit
from app.settings import ImagingSettings

_CHUNK = 1_000_000


def content_digest(file: Path | bytes, start: int | None = None) -> str:
    """SHA-256 of a Part 10 file's data set: each hop writes File Meta Information of its own (PS3.10 7.1).

    `start` is where the data set begins; without it, the File Meta Information is read to its end. What (0002,0000)
    says of where that is is not asked: it may lie. Raises OSError.
    """
    with _opened(file) as stream:
        if start is None:
            opening = _opening(stream)
            start = opening.start if opening else 0
        return _digest(stream, start)


def has_digest(file: Path | bytes, sha256: str, syntax: str) -> bool:
    """Whether a file's data set has a digest, as this release or the first one takes it, and the file says that it is
    of a transfer syntax (empty where it says none). Raises OSError.
    """
    with _opened(file) as stream:
        opening = _opening(stream)
        if opening is None or not opening.prefixed or opening.syntax != syntax:
            return False
        first = _start_of_first_release(stream)
        return _digest(stream, opening.start) == sha256 or (first != opening.start and _digest(stream, first) == sha256)


def _opened(file: Path | bytes) -> BinaryIO:
    return io.BytesIO(file) if isinstance(file, bytes) else file.open("rb")


def _opening(stream: BinaryIO) -> Opening | None:
    """How the file begins, None where that is over a limit: it is damaged, as none that was taken is."""

    def read(offset: int, size: int) -> bytes:
        stream.seek(offset)
        return stream.read(size)

    try:
        return read_opening(read, ImagingSettings())
    except OverLimit:
        return None


def _start_of_first_release(stream: BinaryIO) -> int:
    stream.seek(0)
    head = stream.read(144)
    # (0002,0000) UL of four bytes is the length of what follows it in group 2.
    known = head[132:140] == b"\x02\x00\x00\x00UL\x04\x00"
    return 144 + int.from_bytes(head[140:144], "little") if known else 0


def _digest(stream: BinaryIO, start: int) -> str:
    # Not hashlib.file_digest, which takes a BytesIO from its beginning.
    digest = hashlib.sha256()
    stream.seek(start)
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
