"""The digest by which an instance is known to be the same, and its file to be whole."""

import hashlib
import io
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1_000_000


def content_digest(file: Path | bytes) -> str:
    """SHA-256 of a Part 10 file's data set: each hop writes File Meta Information of its own (PS3.10 7.1)."""
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as stream:
        return _digest(stream)


def _digest(stream: BinaryIO) -> str:
    head = stream.read(144)
    # (0002,0000) UL of four bytes is the length of what follows it in group 2.
    known = head[132:140] == b"\x02\x00\x00\x00UL\x04\x00"
    stream.seek(144 + int.from_bytes(head[140:144], "little") if known else 0)
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
