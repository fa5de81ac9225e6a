"""What goes between the gateway and a decoder process, in a layout that carries no code: no pickle is read.

A request is a header and bytes: an image's, or words about the open file that comes with it. A reply is a header, a
JSON object of a strict schema, and raw bytes: pixels of a size that the gateway knows, or a bounded excerpt. What is
larger comes in pieces, each a reply, which the gateway counts.
"""

import os
import socket
import struct
from dataclasses import asdict
from enum import IntEnum
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app import errors
from app.dicom.evidence import Turn
from app.errors import InputError
from app.imaging.radiograph import DicomFacts, Radiograph, Source

_REQUEST = struct.Struct("<BIQ")  # kind, side of the model's images, bytes
_REPLY = struct.Struct("<IQ")  # bytes of JSON, bytes of pixels
_MOST_JSON = 65_536
MOST_BYTES = 8_388_608
PIECE_BYTES = 1_048_576

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
_Text = Annotated[str, StringConstraints(max_length=500)]
# What a decoder may say of an image: never that of another layer, and never a class that is not here.
_REFUSALS: dict[str, type[InputError]] = {
    kind.__name__: kind
    for kind in (errors.MalformedInput, errors.NotFound, errors.TooLarge, errors.UnsupportedMedia, errors.UnusableImage)
}


class Kind(IntEnum):
    """What a decoder is asked for."""

    READ = 0
    PREVIEW = 1
    PROBE = 2
    # Of DICOM instances, as bytes or as an open file.
    INTAKE = 3
    SOURCE = 4
    METADATA = 5
    MEANING = 6
    # Of DICOM instances, answered in pieces.
    TRANSCODE = 10
    BULK = 11


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Facts(_Strict):
    sop_class_uid: _Text | None
    sop_instance_uid: _Text | None
    study_instance_uid: _Text | None
    series_instance_uid: _Text | None
    modality: _Text | None
    body_part: _Text | None
    view: _Text | None
    photometric_interpretation: _Text | None
    transfer_syntax_uid: _Text | None


class ReadReply(_Strict):
    """A radiograph without its pixels."""

    reply: Literal["radiograph"] = "radiograph"
    sha256: Digest
    source: Source
    width: Annotated[int, Field(ge=1, le=2**20)]
    height: Annotated[int, Field(ge=1, le=2**20)]
    warnings: Annotated[list[_Text], Field(max_length=32)]
    dicom: _Facts | None
    turn: tuple[bool, bool, bool]


class PreviewReply(_Strict):
    """A preview; its file is what follows."""

    reply: Literal["preview"] = "preview"


class BytesReply(_Strict):
    """What was asked for of a header is what follows; of an excerpt, with `completeness.Pixels`."""

    reply: Literal["bytes"] = "bytes"
    pixel_bytes: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    fragments: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    rubbish: bool | None = None


class MeaningReply(_Strict):
    """What an instance means: see `app/imaging/likeness.py`; the means of its pixels are what follows."""

    reply: Literal["meaning"] = "meaning"
    attributes: Digest
    sent: Digest
    lasting: Digest
    rescaled: Digest
    character_set: _Text
    pixels: Digest | None
    encoded: Digest
    lossy: bool


class PieceReply(_Strict):
    """A piece of what was asked for is what follows; the reply after the last says whether that was all of it."""

    reply: Literal["piece"] = "piece"


class RefusalReply(_Strict):
    """The image cannot be used."""

    reply: Literal["refusal"] = "refusal"
    kind: Annotated[str, StringConstraints(max_length=32)]
    detail: _Text
    code: Annotated[str, StringConstraints(pattern="^[a-z_0-9]{1,40}$")]


class StateReply(_Strict):
    """The decoder is ready (`missing` is what the kernel does not offer to confine it), or met its memory limit."""

    reply: Literal["ready", "out_of_memory"]
    missing: list[_Text] = []


Reply = ReadReply | PreviewReply | BytesReply | MeaningReply | PieceReply | RefusalReply | StateReply


class _Envelope(_Strict):
    body: Annotated[Reply, Field(discriminator="reply")]


def request(kind: Kind, size: int, data: bytes) -> tuple[bytes, bytes]:
    """Header and body of a request."""
    return _REQUEST.pack(kind, size, len(data)), data


def send_file(channel: socket.socket, data: bytes, file: int) -> int:
    """Send the beginning of a request with an open file; returns how many bytes were sent. Raises OSError."""
    return socket.send_fds(channel, [data], [file])


def read_request(channel: socket.socket) -> tuple[Kind, int, bytes, int | None] | None:
    """The next request with its open file, if it has one; None where the gateway is gone."""
    header, files, _, _ = socket.recv_fds(channel, _REQUEST.size, 1)
    file = files[0] if files else None
    if len(header) < _REQUEST.size:
        rest = _exactly(channel, _REQUEST.size - len(header)) if header else None
        if rest is None:
            return None
        header += rest
    kind, size, length = _REQUEST.unpack(header)
    # In one call and one piece: the channel of a decoder has no timeout.
    data = channel.recv(length, socket.MSG_WAITALL) if length else b""
    if len(data) == length:
        return Kind(kind), size, data, file
    if file is not None:
        os.close(file)
    return None


def write_reply(channel: socket.socket, body: Reply, pixels: bytes) -> None:
    """Send a reply."""
    text = _Envelope(body=body).model_dump_json().encode()
    channel.sendall(_REPLY.pack(len(text), len(pixels)) + text)
    channel.sendall(pixels)


def read_reply(channel: socket.socket) -> tuple[Reply, bytes] | None:
    """A reply and its pixels; None where the decoder is gone.

    Raises ValueError where it is none of the layout, TimeoutError of the socket.
    """
    header = _exactly(channel, _REPLY.size)
    if header is None:
        return None
    text_length, pixel_length = _REPLY.unpack(header)
    if text_length > _MOST_JSON or pixel_length > MOST_BYTES:
        raise ValueError("the reply is longer than any may be")
    text, pixels = _exactly(channel, text_length), _exactly(channel, pixel_length)
    if text is None or pixels is None:
        return None
    return _Envelope.model_validate_json(text).body, pixels


def _exactly(channel: socket.socket, length: int) -> bytes | None:
    buffer = bytearray(length)
    view, at = memoryview(buffer), 0
    while at < length:
        count = channel.recv_into(view[at:])
        if not count:
            return None
        at += count
    return bytes(buffer)


def described(radiograph: Radiograph) -> tuple[ReadReply, bytes]:
    """A radiograph as a reply and its pixels."""
    facts = None if radiograph.dicom is None else _Facts(**_cut(asdict(radiograph.dicom)))
    body = ReadReply(
        sha256=radiograph.sha256,
        source=radiograph.source,
        width=radiograph.width,
        height=radiograph.height,
        warnings=[warning[:500] for warning in radiograph.warnings[:32]],
        turn=(radiograph.turn.transposed, radiograph.turn.mirrored, radiograph.turn.flipped),
        dicom=facts,
    )
    return body, np.ascontiguousarray(radiograph.pixels, np.uint8).tobytes()


def _cut(facts: dict[str, str | None]) -> dict[str, str | None]:
    return {name: None if value is None else value[:500] for name, value in facts.items()}


def radiograph_of(body: ReadReply, pixels: bytes, size: int) -> Radiograph:
    """The radiograph of a reply. Raises ValueError where the pixels are not those of one image."""
    facts = None if body.dicom is None else DicomFacts(**body.dicom.model_dump())
    return Radiograph(
        pixels=np.frombuffer(pixels, np.uint8).reshape(size, size),
        sha256=body.sha256,
        source=body.source,
        width=body.width,
        height=body.height,
        warnings=tuple(body.warnings),
        dicom=facts,
        turn=Turn(*body.turn),
    )


def refused(error: InputError) -> RefusalReply:
    """A refusal as a reply."""
    return RefusalReply(kind=type(error).__name__, detail=error.detail[:500], code=error.code)


def refusal_of(body: RefusalReply) -> InputError:
    """The exception of a reply. Raises ValueError where it is none that a decoder raises."""
    kind = _REFUSALS.get(body.kind)
    if kind is None:
        raise ValueError("the refusal is none of a decoder's")
    return kind(body.detail, code=body.code)
