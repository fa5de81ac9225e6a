"""The size that a compressed frame says it has, read from its own header before any decoder allocates for it.

JPEG (ITU-T T.81 B.2), JPEG-LS (T.87 C.2), JPEG 2000 (ISO/IEC 15444-1 A.5.1). A decoder believes these numbers, not the
DICOM header's: 3 kB that say 65,535 x 65,535 would have it fill 4 GB.
"""

import struct
from dataclasses import dataclass

from app.errors import MalformedInput, UnusableImage

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
# SOF markers of JPEG, without DHT, JPG and DAC, and SOF55 of JPEG-LS.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7}
_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_JPEG_LS = 0xF7
_SIZ = b"\xff\x4f\xff\x51"
_JP2_HEADER_BYTES = 65_536
# Progressive encoders write ten or so; each makes the decoder walk the whole image once more.
_MOST_SCANS = 64


@dataclass(frozen=True)
class StreamSize:
    """What a codestream says that it has: pixels, components, scans, bits of a component (0: it does not say).

    `least_bytes` are those that so many pixels take at least.
    """

    width: int
    height: int
    components: int
    scans: int = 1
    least_bytes: int = 0
    bits: int = 0


def stream_size(codestream: bytes) -> StreamSize | None:
    """The size of a JPEG, JPEG-LS or JPEG 2000 codestream; None where it is none of them or its header is damaged."""
    if codestream[:2] == b"\xff\xd8":
        return _jpeg(codestream)
    at = codestream.find(_SIZ, 0, _JP2_HEADER_BYTES)
    if at < 0 or len(codestream) < at + 44:
        return None
    width, height, left, top = struct.unpack_from(">4I", codestream, at + 8)
    (components,) = struct.unpack_from(">H", codestream, at + 40)
    # Ssiz of the first component: its bits less one, below a bit for the sign.
    return StreamSize(max(0, width - left), max(0, height - top), components, bits=(codestream[at + 42] & 0x7F) + 1)


def _jpeg(codestream: bytes) -> StreamSize | None:
    at, frame, kind, scans, bits = 2, None, 0, 0, 0
    while at + 4 <= len(codestream):
        if codestream[at] != 0xFF:
            # Entropy-coded data: the next byte 0xFF that is followed by neither stuffing nor a restart marker.
            at = codestream.find(b"\xff", at)
            if at < 0:
                break
        marker = codestream[at + 1] if at + 1 < len(codestream) else _EOI
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0x00 or marker in _STANDALONE:
            at += 2
            continue
        if marker in (_EOI, _SOI):
            break
        (length,) = struct.unpack_from(">H", codestream, at + 2) if at + 4 <= len(codestream) else (0,)
        if length < 2:
            return None
        if marker in _FRAMES and frame is None:
            if at + 10 > len(codestream):
                return None
            frame, kind = struct.unpack_from(">HHB", codestream, at + 5), marker
            bits = codestream[at + 4]
        scans += marker == _SOS
        at += 2 + length
    if frame is None:
        return None
    height, width, components = frame
    return StreamSize(width, height, components, scans, _least_bytes(kind, width, height), bits)


def _least_bytes(kind: int, width: int, height: int) -> int:
    """Bytes without which a JPEG cannot hold so many pixels: no Huffman code is shorter than one bit.

    A block of 8 x 8 takes a code for its DC difference and one for the end of its block; progressive files may leave
    the second out, lossless ones take a code a pixel. JPEG-LS has runs without a bound.
    """
    if kind == _JPEG_LS:
        return 0
    if kind in _LOSSLESS:
        return width * height // 8
    blocks = -(-width // 8) * -(-height // 8)
    return blocks * (1 if kind in _PROGRESSIVE else 2) // 8


def check_stream(codestream: bytes, width: int, height: int, max_pixels: int) -> StreamSize | None:
    """Refuse a codestream that is not of the size that it is to be, or that cannot hold it; returns what it says of it.

    Raises MalformedInput, UnusableImage.
    """
    found = stream_size(codestream)
    if found is None:
        return None  # a decoder finds what is wrong with it, or it is of a kind without a size of its own
    if found.width * found.height > max_pixels:
        raise UnusableImage(
            f"The image is {found.width} x {found.height} pixels; at most {max_pixels // 1_000_000} million are "
            "decoded.",
            code="too_many_pixels",
        )
    if (found.width, found.height) != (width, height):
        raise MalformedInput(
            f"The compressed pixels are {found.width} x {found.height}, the header says {width} x {height}.",
            code="damaged_image",
        )
    if found.scans > _MOST_SCANS:
        raise MalformedInput(
            f"The JPEG has {found.scans} scans; at most {_MOST_SCANS} are decoded.", code="too_many_scans"
        )
    if len(codestream) < found.least_bytes:
        raise MalformedInput("The compressed pixels are incomplete.", code="damaged_image")
    return found
