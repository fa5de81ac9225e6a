"""A decoder process: reads images one after the other from a socket, confined before it sees the first.

`python -m app.imaging.decoder FD LIMITS`: the socket's file descriptor, and the settings of imaging as JSON.
"""

import gc
import io
import os
import socket
import sys
from collections.abc import Callable
from functools import partial

from PIL import Image
from pydicom.pixels import get_decoder
from pydicom.uid import AllTransferSyntaxes

from app.dicom.header import Purpose
from app.errors import InputError
from app.imaging import instance, likeness, metadata, preview, reader, transcode, wire
from app.imaging.confine import confine
from app.settings import ImagingSettings


def _import_decoders() -> None:
    """Import what Pillow and pydicom import with the first image of a kind."""
    Image.init()
    for syntax in AllTransferSyntaxes:
        try:
            get_decoder(syntax)
        except NotImplementedError:  # a transfer syntax of no single image
            continue
    # The imports stay for good: out of the garbage collector's sight.
    gc.freeze()


def _answer(
    kind: wire.Kind,
    size: int,
    data: bytes,
    file: int | None,
    limits: ImagingSettings,
    write: Callable[[wire.Reply, bytes], None],
) -> tuple[wire.Reply, bytes]:
    try:
        if kind is wire.Kind.PREVIEW:
            return wire.PreviewReply(), preview.read_preview(data, limits)
        if kind is wire.Kind.PROBE:
            return wire.StateReply(reply="ready"), b""
        with io.BytesIO(data) if file is None else open(file, "rb", closefd=False) as stream:
            if kind is wire.Kind.READ:
                stream.seek(0)  # a process before may have read the same open file
                return wire.described(reader.read_radiograph(stream.read(), limits, size))
            if kind is wire.Kind.METADATA:
                return wire.BytesReply(), metadata.metadata(stream, data.decode(), limits)
            if kind is wire.Kind.MEANING:
                stream.seek(0)
                return likeness.meaning(stream.read(), limits)
            if kind in (wire.Kind.TRANSCODE, wire.Kind.BULK):
                whole = kind is wire.Kind.TRANSCODE
                pieces = transcode.transcode(stream, limits) if whole else transcode.bulk(stream, data.decode(), limits)
                for piece in pieces:
                    write(wire.PieceReply(), piece)
                return wire.BytesReply(), b""
            purpose: Purpose = "intake" if kind is wire.Kind.INTAKE else "source"
            found = instance.excerpt(stream, purpose, limits)
            pixels = found.pixels
            if pixels is None:
                return wire.BytesReply(), found.data
            reply = wire.BytesReply(pixel_bytes=pixels.size, fragments=pixels.fragments, rubbish=pixels.rubbish)
            return reply, found.data
    except InputError as error:
        return wire.refused(error), b""
    except MemoryError:
        return wire.StateReply(reply="out_of_memory"), b""


def main() -> None:
    """Answer until the gateway is gone."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    write = partial(wire.write_reply, channel)
    limits = ImagingSettings.model_validate_json(sys.argv[2])
    _import_decoders()
    write(wire.StateReply(reply="ready", missing=confine(limits.memory_mb)), b"")
    while (asked := wire.read_request(channel)) is not None:
        file = asked[3]
        try:
            body, pixels = _answer(*asked, limits, write)
        finally:
            if file is not None:
                os.close(file)
        del asked
        write(body, pixels)


if __name__ == "__main__":
    main()
