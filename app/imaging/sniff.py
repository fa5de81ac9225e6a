"""The kind of image that some bytes are, by their content."""

import struct

from app.errors import MalformedInput, UnsupportedMedia
from app.imaging.radiograph import Source

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_PREAMBLE = 128
_SHORT_VRS = {b"UL", b"UI", b"OB", b"CS", b"SH", b"LO", b"DA", b"TM", b"DT", b"PN", b"US", b"AE", b"AS", b"IS", b"ST"}
# A data set without preamble starts with file meta information (group 0002) or with its identification (group 0008).
_FIRST_GROUPS = (0x0002, 0x0008)


def sniff(data: bytes) -> Source:
    """The kind of image. Raises MalformedInput where there are no bytes, UnsupportedMedia where it is none we read."""
    if not data:
        raise MalformedInput("The image is empty.", code="empty")
    if data.startswith(_PNG):
        return "png"
    if data.startswith(_JPEG):
        return "jpeg"
    if data[_PREAMBLE : _PREAMBLE + 4] == b"DICM" or _starts_like_a_data_set(data):
        return "dicom"
    raise UnsupportedMedia("The file is not DICOM, PNG or JPEG.", code="not_an_image")


def _starts_like_a_data_set(data: bytes) -> bool:
    """Whether the first element is plausible in some encoding of PS3.5 section 7.1: an instance sent without its
    Part 10 header, or an ACR-NEMA file.
    """
    if len(data) < 16:
        return False
    for order in ("<", ">"):
        group, element = struct.unpack_from(f"{order}HH", data)
        if group not in _FIRST_GROUPS or element > 0x0120:
            continue
        explicit = data[4:6] in _SHORT_VRS
        (length,) = struct.unpack_from(f"{order}I", data, 4)
        if explicit or length <= 128:
            return True
    return False
