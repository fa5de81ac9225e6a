"""A data set's elements in Explicit VR Little Endian (PS3.5 A.2), value by value as they came. For confined processes.

Values are not parsed, so that texts, private elements and what breaks its VR's rules stay as they are: they get another
header, and numbers another byte order where theirs is big endian.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, cast

import numpy as np
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr_element, write_data_element
from pydicom.hooks import raw_element_vr

from app.dicom.encoding import LONG_VRS
from app.dicom.values import number_of
from app.errors import MalformedInput

PIXEL_DATA = 0x7FE00010
UNDEFINED = 0xFFFFFFFF
# PS3.5 7.3: what is swapped, by the bytes of one number. AT is two numbers of two bytes.
_WIDTH = {
    **dict.fromkeys(("US", "SS", "OW", "AT"), 2),
    **dict.fromkeys(("UL", "SL", "OL", "FL", "OF"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
# What a VR of several is where the data set does not tell.
_OF_SEVERAL = {"US or SS": "US", "OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW"}
_TEXTS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"))
_MOST_SHORT = 0xFFFE
_ITEM = 0xFFFEE000


class Value(NamedTuple):
    """A value in little endian; a longer one is its length and its parts."""

    vr: str
    size: int
    parts: Iterator[bytes]


Replace = Callable[[Dataset], Mapping[int, Value | None]]
"""What stands in a data set for other elements; None leaves one out."""


def value_of(vr: str, data: bytes) -> Value:
    """A value of an even length (PS3.5 7.1.1)."""
    if len(data) % 2:
        data += b" " if vr in _TEXTS else b"\0"
    return Value(vr, len(data), iter((data,)))


def little(data: bytes, vr: str) -> bytes:
    """A big endian value in little endian. Raises MalformedInput where it is none of whole numbers."""
    width = _WIDTH.get(vr, 1)
    if len(data) % width:
        raise MalformedInput("A value of the instance is not of whole numbers.", code="damaged_image")
    return data if width == 1 else np.frombuffer(data, f">u{width}").astype(f"<u{width}").tobytes()


def vr_of(raw: RawDataElement, dataset: Dataset, ancestors: tuple[Dataset, ...]) -> str:
    """The VR of an element that may have come without one."""
    if raw.VR is not None:
        return raw.VR
    found: dict[str, str] = {}
    raw_element_vr(raw, found, ds=dataset)
    vr = found["VR"]
    if vr in _OF_SEVERAL:
        element = DataElement(raw.tag, vr, raw.value or b"", already_converted=True)
        try:
            correct_ambiguous_vr_element(element, dataset, raw.is_little_endian, [dataset, *ancestors])
        except Exception:  # what the VR depends on is damaged or absent
            return _OF_SEVERAL[vr]
        vr = _OF_SEVERAL.get(element.VR, element.VR)
    return str(vr)


def plain_value(raw: RawDataElement, vr: str, dataset: Dataset) -> bytes:
    """An element's bytes in little endian. Raises MalformedInput where they break off."""
    data = raw.value or b""
    if raw.length in (len(data), UNDEFINED):
        if raw.is_little_endian or vr == "SQ":
            return data
        # Pixels of more than 16 bits are read as whole numbers by what decodes them.
        wide = {32: "OL", 64: "OV"}.get(number_of(dataset, "BitsAllocated"), vr) if raw.tag == PIXEL_DATA else vr
        return little(data, wide)
    raise MalformedInput("The DICOM file is damaged or incomplete.", code="damaged_image")


def encoded(dataset: Dataset, replace: Replace, ancestors: tuple[Dataset, ...] = ()) -> Iterator[bytes]:
    """A data set's elements, group lengths left out (PS3.5 7.2). Raises MalformedInput, and what `replace` does."""
    # As they came: whatever asks the data set for a value has its element converted.
    elements = {int(tag): dataset.get_item(tag, keep_deferred=True) for tag in list(dataset.keys())}
    replaced = replace(dataset)
    for tag in sorted({*elements, *replaced}):
        if tag in replaced:
            value = replaced[tag]
        elif tag & 0xFFFF == 0 or tag < 0x00010000:
            continue
        else:
            value = _value(elements[tag], dataset, replace, ancestors)
        if value is not None:
            yield _header(tag, value)
            yield from value.parts


def _value(
    element: DataElement | RawDataElement, dataset: Dataset, replace: Replace, ancestors: tuple[Dataset, ...]
) -> Value:
    if isinstance(element, RawDataElement):
        vr = vr_of(element, dataset, ancestors)
        if vr != "SQ":
            if element.tag == PIXEL_DATA and element.length == UNDEFINED:
                raise MalformedInput("The pixel data is damaged or incomplete.", code="damaged_image")
            return value_of(vr, plain_value(element, vr, dataset))
        plain_value(element, vr, dataset)
        element = dataset[element.tag]
    elif element.VR != "SQ":
        # Specific Character Set is converted as soon as it is read.
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = False, True
        write_data_element(buffer, element)
        long = element.VR.encode() in LONG_VRS
        return value_of(element.VR, buffer.getvalue()[12 if long else 8 :])
    inner = (dataset, *ancestors)
    items = [b"".join(encoded(item, replace, inner)) for item in cast(list[Dataset], element.value or [])]
    data = b"".join(part for item in items for part in (_tag(_ITEM), struct.pack("<L", len(item)), item))
    return Value("SQ", len(data), iter((data,)))


def _tag(tag: int) -> bytes:
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF)


def _header(tag: int, value: Value) -> bytes:
    vr = value.vr.encode()
    if vr not in LONG_VRS and value.size > _MOST_SHORT:
        vr = b"UN"  # PS3.5 6.2.2
    if vr in LONG_VRS:
        return _tag(tag) + vr + struct.pack("<HL", 0, value.size)
    return _tag(tag) + vr + struct.pack("<H", value.size)
