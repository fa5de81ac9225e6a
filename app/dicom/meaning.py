"""What an instance means, however it is encoded: a digest over its attributes' values.

Senders and archives encode one instance in many ways (PS3.5 6 to 10, A): VRs stated or not, lengths defined or not,
byte order, padding, character set, group lengths, compressed pixels. None of that is part of the digest.
"""

import contextlib
import hashlib
import io
import struct
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

_ITEM = b"\xfe\xff\x00\xe0"
_CHARACTER_SET, _TRAILING_PADDING = 0x00080005, 0xFFFCFFFC
# (Double) Float Pixel Data, Pixel Data, and where its fragments lie.
_PIXELS = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009, 0x7FE00010})
_PHOTOMETRIC, _PLANAR, _LOSSY = 0x00280004, 0x00280006, 0x00282110
# How a copy is told from others, and which hands it went through, is nothing of the instance's own: RetrieveAETitle,
# InstanceAvailability, RetrieveURL, ContributingEquipmentSequence, OriginalAttributesSequence. Where one of the hands
# changed an attribute, that attribute tells.
_OF_A_COPY = frozenset({0x00080054, 0x00080056, 0x00081190, 0x0018A001, 0x04000561})
# What a lossy compression states of itself or has to change (PS3.3 C.7.6.1.1.5, C.8.11.3): ImageType, Derivation
# Description, SourceImageSequence, DerivationCodeSequence, the pixel's bits and range, the compression.
_OF_LOSSY_COMPRESSION = frozenset(
    {
        0x00080008, 0x00082111, 0x00082112, 0x00089215, _PHOTOMETRIC, _PLANAR, 0x00280100, 0x00280101, 0x00280102,
        0x00280106, 0x00280107, _LOSSY, 0x00282112, 0x00282114,
    }
)  # fmt: skip
# Codecs transform colour on their own (PS3.5 8.2.4).
_SAME_COLOUR = {"YBR_RCT": "RGB", "YBR_ICT": "RGB"}
_NUMBERS = {
    "US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q", "AT": "L",
}  # fmt: skip
_WORDS = {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8, **{vr: struct.calcsize(f"<{c}") for vr, c in _NUMBERS.items()}}
# PS3.5 6.2: text whose leading blanks mean something.
_PROSE = ("LT", "ST", "UT")


def attribute_digests(dataset: Dataset, *, little: bool) -> tuple[str, str]:
    """SHA-256 of an instance's attributes without its pixel data, and of those that lossy compression leaves alone.

    `little` is the byte order in which it was read. An absent attribute and an empty one are the same. Raises whatever
    pydicom does on a damaged data set.
    """
    all_of_them, lasting = hashlib.sha256(), hashlib.sha256()
    for tag, value in _elements(dataset, little, top=True):
        all_of_them.update(value)
        if tag not in _OF_LOSSY_COMPRESSION:
            lasting.update(value)
    return all_of_them.hexdigest(), lasting.hexdigest()


def _elements(dataset: Dataset, little: bool, *, top: bool = False) -> Iterator[tuple[int, bytes]]:
    """Tag and canonical form of the elements that have a value, in the order of their tags."""
    for tag in sorted(dataset.keys()):
        if tag.element == 0 or tag.group == 0 or tag in (_CHARACTER_SET, _TRAILING_PADDING):
            continue
        if top and (tag in _PIXELS or tag in _OF_A_COPY or tag == _PLANAR):
            continue
        value = _value(dataset, tag, little)
        if value and not (top and tag == _LOSSY and value == _joined([b"00"])):
            yield int(tag), struct.pack("<LQ", tag, len(value)) + value


def _value(dataset: Dataset, tag: BaseTag, little: bool) -> bytes:
    raw = dataset.get_item(tag)
    if tag.is_private and isinstance(raw, RawDataElement) and raw.VR != "SQ" and isinstance(raw.value, bytes):
        return _private(raw, little)
    try:
        element = dataset[tag]
    except Exception:  # a value that its VR cannot hold: its bytes tell
        if isinstance(raw, RawDataElement):
            return _private(raw, little)
        raise
    vr = dictionary_VR(tag) if dictionary_has_tag(tag) else element.VR
    if element.VR == "SQ":
        return _items(element.value, little)
    if isinstance(element.value, bytes):
        return _padded(_little(element.value, element.VR, little))
    values = _values(element)
    if element.VR in _NUMBERS:
        code = _NUMBERS[element.VR]
        return b"".join(struct.pack(f"<{code}", value) for value in values)
    one = _decimal if vr in ("DS", "IS") else _name if vr == "PN" else _prose if vr in _PROSE else _text
    return _joined([one(value).encode() for value in values], _SAME_COLOUR if tag == _PHOTOMETRIC else {})


def _items(items: Iterable[Dataset], little: bool) -> bytes:
    encoded = [b"".join(value for _, value in _elements(item, little)) for item in items]
    return b"".join(_ITEM + struct.pack("<Q", len(item)) + item for item in encoded)


def _private(raw: RawDataElement, little: bool) -> bytes:
    """A private value by its bytes: who reads implicit VR does not know what they are."""
    value = raw.value or b""
    if value.startswith(_ITEM) and raw.VR in (None, "UN"):
        with contextlib.suppress(Exception):  # it is no sequence, or a damaged one: its bytes tell
            return _items(read_sequence(io.BytesIO(value), True, True, len(value), "iso8859"), True)
    return _little(value, raw.VR or "UN", little).rstrip(b" \0")


def _little(value: bytes, vr: str, little: bool) -> bytes:
    """Binary values in little endian."""
    size = 1 if little else _WORDS.get(vr, 1)
    if size == 1 or len(value) % size:
        return value
    return b"".join(value[at : at + size][::-1] for at in range(0, len(value), size))


def _padded(value: bytes) -> bytes:
    return value + b"\0" if len(value) % 2 else value


def _values(element: DataElement) -> list[Any]:
    value = element.value
    if value is None:
        return []
    return list(value) if element.VM > 1 else [value[0] if isinstance(value, list) and value else value]


def _joined(values: list[bytes], same: dict[str, str] | None = None) -> bytes:
    """Texts as one value; empty where all are."""
    if not any(values):
        return b""
    return b"\\".join((same or {}).get(value.decode(), "").encode() or value for value in values)


def _text(value: Any) -> str:
    return str(value).strip(" \0")


def _prose(value: Any) -> str:
    return str(value).rstrip(" \0")


def _name(value: Any) -> str:
    """PS3.5 6.2.1.1: delimiters behind the last component may be left out."""
    text = str(value) if isinstance(value, PersonName | str) else ""
    groups = ["^".join(part.strip(" \0") for part in group.split("^")).rstrip("^") for group in text.split("=")]
    return "=".join(groups).rstrip("=")


def _decimal(value: Any) -> str:
    """A number by its value: some write anew what they have read."""
    text = _text(getattr(value, "original_string", value))
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return str(number.normalize() + 0) if number.is_finite() else text
