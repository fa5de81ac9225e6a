"""An instance in Explicit VR Little Endian, and single values of one, in pieces. For the confined processes alone."""

import io
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from pydicom import __version__
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR, PN_DELIMS, TEXT_VR_DELIMS

from app.dicom.opening import Opening
from app.dicom.part10 import PREAMBLE
from app.dicom.walk import Read
from app.errors import NotFound
from app.imaging import instance, wire
from app.imaging.explicit import PIXEL_DATA, UNDEFINED, Value, encoded, plain_value, value_of, vr_of
from app.imaging.frames import check_total, decoded
from app.settings import ImagingSettings

_META_LENGTH, _META_VERSION = 0x00020000, 0x00020001
_CLASS, _INSTANCE, _SYNTAX, _IMPLEMENTATION, _VERSION = 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013


def transcode(stream: BinaryIO, limits: ImagingSettings) -> Iterator[bytes]:
    """A Part 10 file of an instance in Explicit VR Little Endian; all else stays as it is.

    Raises UnsupportedMedia without a decoder, MalformedInput, UnusableImage, TooLarge.
    """

    def find(read: Read, opening: Opening) -> Iterator[bytes]:
        dataset = instance.whole(stream, read, opening, limits)
        yield _meta(stream, opening, dataset)
        yield from encoded(dataset, lambda one: _pixels(one, opening, limits))

    return _pieces(instance.bounded_pieces(stream, limits, find), limits)


def bulk(stream: BinaryIO, path: str, limits: ImagingSettings) -> Iterator[bytes]:
    """A value in little endian, pixel data decoded, a text in UTF-8; `path` is tags and the items between them.

    Raises NotFound, and what `transcode` does.
    """

    def find(read: Read, opening: Opening) -> Iterator[bytes]:
        dataset = instance.whole(stream, read, opening, limits)
        ancestors: tuple[Dataset, ...] = ()
        *way, last = path.split("/")
        for tag, item in zip(way[::2], way[1::2], strict=True):
            items = _sequence(dataset, int(tag, 16))
            if int(item) >= len(items):
                raise NotFound("The instance has no such item.")
            dataset, ancestors = items[int(item)], (dataset, *ancestors)
        yield from _bulk(dataset, int(last, 16), ancestors, opening, limits)

    return _pieces(instance.bounded_pieces(stream, limits, find), limits)


def _bulk(
    dataset: Dataset, tag: int, ancestors: tuple[Dataset, ...], opening: Opening, limits: ImagingSettings
) -> Iterator[bytes]:
    found = dataset.get_item(tag, keep_deferred=True) if tag in dataset else None
    if not isinstance(found, RawDataElement) or (vr := vr_of(found, dataset, ancestors)) == "SQ":
        raise NotFound("The instance has no such value.")
    pixels = _pixels(dataset, opening, limits).get(tag) if tag == PIXEL_DATA else None
    if pixels:
        return pixels.parts
    value = plain_value(found, vr, dataset)
    return value_of(vr, _in_utf8(value, (dataset, *ancestors)) if vr in CUSTOMIZABLE_CHARSET_VR else value).parts


def _in_utf8(value: bytes, levels: tuple[Dataset, ...]) -> bytes:
    """A text as DICOM JSON has it (PS3.18 F.2.2); its character set is that of the innermost level that states one."""
    terms = next((one.SpecificCharacterSet for one in levels if "SpecificCharacterSet" in one), None)
    # Behind these the first character set counts again (PS3.5 6.1.2.5.3); a backslash parts values, a caret names.
    return decode_bytes(value, convert_encodings(terms), TEXT_VR_DELIMS | PN_DELIMS | {0x5C}).encode()


def _sequence(dataset: Dataset, tag: int) -> list[Dataset]:
    element = dataset.get(tag, None)
    return list(element.value or []) if element is not None and element.VR == "SQ" else []


def _pixels(dataset: Dataset, opening: Opening, limits: ImagingSettings) -> dict[int, Value | None]:
    """What decoding changes in a data set, which may be an item with an icon (PS3.3 F.7)."""
    if PIXEL_DATA not in dataset:
        return {}
    element = dataset.get_item(PIXEL_DATA, keep_deferred=True)
    if not isinstance(element, RawDataElement) or element.length != UNDEFINED:
        return {}
    return decoded(dataset, opening.syntax, limits)


def _meta(stream: BinaryIO, opening: Opening, dataset: Dataset) -> bytes:
    """Preamble and File Meta Information (PS3.10 7.1) of who writes the file now."""
    begin = len(PREAMBLE) if opening.prefixed else 0
    stream.seek(begin)
    meta = read_dataset(
        io.BytesIO(stream.read(opening.start - begin)), False, True, stop_when=lambda tag, _vr, _size: tag >> 16 != 2
    )
    ours: dict[int, Value | None] = {
        _META_VERSION: value_of("OB", b"\0\1"),
        _SYNTAX: _uid(ExplicitVRLittleEndian),
        _IMPLEMENTATION: _uid(PYDICOM_IMPLEMENTATION_UID),
        _VERSION: value_of("SH", f"PYDICOM {__version__}".encode()),
    }
    for tag, source in ((_CLASS, 0x00080016), (_INSTANCE, 0x00080018)):
        element = dataset.get_item(source, keep_deferred=True) if source in dataset else None
        if tag not in meta and isinstance(element, RawDataElement):
            ours[tag] = value_of("UI", element.value or b"")
    elements = b"".join(encoded(meta, lambda _: ours))
    length = b"".join(encoded(Dataset(), lambda _: {_META_LENGTH: value_of("UL", struct.pack("<L", len(elements)))}))
    return PREAMBLE + length + elements


def _uid(uid: str) -> Value:
    return value_of("UI", uid.encode())


def _pieces(parts: Iterable[bytes], limits: ImagingSettings) -> Iterator[bytes]:
    """Parts of any size as pieces that a reply may have, no more in all than is taken."""
    total, waiting = 0, bytearray()
    for part in parts:
        total += len(part)
        check_total(total, limits)
        for at in range(0, len(part), wire.PIECE_BYTES):
            waiting += memoryview(part)[at : at + wire.PIECE_BYTES]
            if len(waiting) >= wire.PIECE_BYTES:
                yield bytes(waiting[: wire.PIECE_BYTES])
                del waiting[: wire.PIECE_BYTES]
    if waiting:
        yield bytes(waiting)
