"""What a file says of itself: the marks that its metadata holds. No pixel is decoded; a stranger wrote it."""

import re
import zlib
from collections.abc import Iterator

# Of all of IPTC's terms, those by which a picture is made by a model, wholly or in part.
# https://cv.iptc.org/newscodes/digitalsourcetype/
SYNTHETIC_TERMS = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia")
# The term as an element's text, as an attribute, and as an element that refers to it.
_SOURCE_TYPE = re.compile(
    rb"DigitalSourceType(?:>|\s*=\s*[\"']|\s+rdf:resource\s*=\s*[\"'])"
    rb"\s*https?://cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{1,64})"
)
_PNG = b"\x89PNG\r\n\x1a\n"
# PNG 11.3.3.4: keyword, compression flag (1) and method (0), language, translated keyword, text.
_COMPRESSED_XMP = re.compile(rb"XML:com\.adobe\.xmp\0\x01\0[^\0]*\0[^\0]*\0", re.DOTALL)
_MOST_XMP = 1 << 20


def digital_source_type(data: bytes) -> str | None:
    """IPTC's Digital Source Type that a file's XMP packet states, its last part, None where it states none."""
    # ISO 16684-1 7.3.2 has files scanned for packets: JPEG and WebP never compress them, and PNG may.
    for packet in (data, *_compressed_packets(data)):
        found = _SOURCE_TYPE.search(packet)
        if found is not None:
            return found[1].decode("ascii")
    return None


def _compressed_packets(data: bytes) -> Iterator[bytes]:
    if not data.startswith(_PNG):
        return
    at = len(_PNG)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"iTXt":
            chunk = data[at + 8 : at + 8 + length]
            head = _COMPRESSED_XMP.match(chunk)
            if head is not None:
                try:
                    yield zlib.decompressobj().decompress(chunk[head.end() :], _MOST_XMP)
                except zlib.error:
                    return
        at += length + 12
