"""What a file says of itself: the marks that its metadata holds. Nothing is decoded; a stranger wrote it."""

import re

# Of all of IPTC's terms, those by which a picture is made by a model, wholly or in part.
# https://cv.iptc.org/newscodes/digitalsourcetype/
SYNTHETIC_TERMS = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia")
# ISO 16684-1 7.3.2 has packets scanned for: XMP is never compressed in JPEG and WebP, nor in the PNG files made here.
_SOURCE_TYPE = re.compile(
    rb"DigitalSourceType(?:>|\s*=\s*[\"'])\s*https?://cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{1,64})"
)


def digital_source_type(data: bytes) -> str | None:
    """IPTC's Digital Source Type that a file's XMP packet states, its last part, None where it states none."""
    found = _SOURCE_TYPE.search(data)
    return None if found is None else found[1].decode("ascii")
