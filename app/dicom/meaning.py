"""What an instance means, however it is encoded: a digest over its attributes' values.

Senders and archives encode one instance in many ways (PS3.5 6 to 10, A): VRs stated or not, lengths defined or not,
byte order, padding, character set, group lengths, compressed pixels. None of that is part of the digest.
"""

import contextlib
import hashlib
import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_sequence
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

_HEAD = struct.Struct("<LQ")  # tag, bytes
_ITEM = b"\xfe\xff\x00\xe0"
_CHARACTER_SET, _TRAILING_PADDING = 0x00080005, 0xFFFCFFFC
_IMAGE_TYPE, _PHOTOMETRIC, _LOSSY = 0x00080008, 0x00280004, 0x00282110
# What is compared by itself, or says how it is encoded: pixel data, where its fragments lie, PlanarConfiguration.
_ENCODING = frozenset(
    {0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009, 0x7FE00010, 0x00280006}
)  # fmt: skip
# How a copy is told from others, which hands it went through, and what they note of their work, is nothing of the
# instance's own: where one of the hands changed an attribute, that attribute tells. InstanceCoercionDateTime,
# RetrieveAETitle, InstanceAvailability, RetrieveURL, DerivationDescription, DerivationCodeSequence,
# ContributingEquipmentSequence, StorageMediaFileSetID and UID, IconImageSequence, OriginalAttributesSequence, digital
# signatures and their parameters.
_OF_A_COPY = frozenset(
    {
        0x00080015, 0x00080054, 0x00080056, 0x00081190, 0x00082111, 0x00089215, 0x0018A001, 0x00880130, 0x00880140,
        0x00880200, 0x04000561, 0x4FFE0001, 0xFFFAFFFA,
    }
)  # fmt: skip
# What a lossy compression states of itself (PS3.3 C.7.6.1.1.5): SourceImageSequence, the compression.
_OF_COMPRESSION = frozenset({0x00082112, _LOSSY, 0x00282112, 0x00282114})
# What it has to change where it needs other pixels (C.7.6.3, C.11.1, C.11.2): their bits, range, padding and scale.
_OF_SCALE = frozenset({0x00280100, 0x00280101, 0x00280102, 0x00280106, 0x00280107, 0x00280108, 0x00280109,
                       0x00280120, 0x00280121, 0x00283000, 0x00283010})  # fmt: skip
_WINDOW_AND_RESCALE = range(0x00281050, 0x00281057)
# Codecs transform colour on their own (PS3.5 8.2), and pixels are compared as RGB.
_GREY = (b"MONOCHROME1", b"MONOCHROME2", b"PALETTE COLOR")
_TEXTS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"))
_REPLACED = "\ufffd"
_NUMBERS = {
    "US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q", "AT": "L",
}  # fmt: skip
_WORDS = {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8, **{vr: struct.calcsize(f"<{c}") for vr, c in _NUMBERS.items()}}
# PS3.5 6.2: text whose leading blanks mean something.
_PROSE = ("LT", "ST", "UT")
# PS3.5 6.1.2.3: whose bytes Specific Character Set tells.
_ENCODED = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))


@dataclass(frozen=True)
class Digests:
    """SHA-256 of an instance's attributes without its pixel data, in hexadecimal.

    `attributes`: all of them, texts decoded. `sent`: the same with the bytes of texts, whatever `character_set` says of
    them. `lasting`: what lossy compression leaves alone. `rescaled`: what it leaves alone where pixels get other bits.
    """

    attributes: str
    sent: str
    lasting: str
    rescaled: str
    character_set: str


def attribute_digests(dataset: Dataset, *, little: bool) -> Digests:
    """The digests of an instance; `little` is the byte order in which it was read.

    An absent attribute and an empty one are the same. Raises whatever pydicom does on a damaged data set.
    """
    attributes, sent, lasting, rescaled = (hashlib.sha256() for _ in range(4))
    for tag, value, as_sent in _elements(dataset, little, top=True):
        attributes.update(value)
        sent.update(as_sent)
        if tag in _OF_COMPRESSION:
            continue
        # Value 1 becomes DERIVED.
        kept = value[_HEAD.size :].partition(b"\\")[2] if tag == _IMAGE_TYPE else value
        lasting.update(kept)
        if tag not in _OF_SCALE and tag not in _WINDOW_AND_RESCALE:
            rescaled.update(kept)
    named = _values(dataset[_CHARACTER_SET]) if _CHARACTER_SET in dataset else []
    return Digests(
        attributes=attributes.hexdigest(),
        sent=sent.hexdigest(),
        lasting=lasting.hexdigest(),
        rescaled=rescaled.hexdigest(),
        character_set="\\".join(str(one) for one in named),
    )


def _elements(dataset: Dataset, little: bool, *, top: bool = False) -> Iterator[tuple[int, bytes, bytes]]:
    """Tag and canonical forms, of decoded texts and of texts as sent, of elements with a value, in the tags' order."""
    for tag in sorted(dataset.keys()):
        if tag.element == 0 or tag.group == 0 or tag in (_CHARACTER_SET, _TRAILING_PADDING):
            continue
        if top and (tag in _ENCODING or tag in _OF_A_COPY):
            continue
        value, sent = _value(dataset, tag, little)
        if top and tag == _PHOTOMETRIC and value not in _GREY:
            value = sent = b"COLOUR"
        if value and not (top and tag == _LOSSY and value == b"00"):
            yield int(tag), _HEAD.pack(tag, len(value)) + value, _HEAD.pack(tag, len(sent)) + sent


def _value(dataset: Dataset, tag: BaseTag, little: bool) -> tuple[bytes, bytes]:
    raw = dataset.get_item(tag)
    held = raw.value if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes) else None
    if held is not None and tag.is_private and raw.VR != "SQ":
        return _private(raw, held, dataset, little)
    try:
        element = dataset[tag]
    except Exception:  # a value that its VR cannot hold: its bytes tell
        if held is None:
            raise
        return _alike(held.rstrip(b" \0"))
    if element.VR == "SQ":
        return _items(element.value, little)
    if isinstance(element.value, bytes):
        value = _little(element.value, element.VR, little)
        return _alike(value + b"\0" * (len(value) % 2))
    values = _values(element)
    if element.VR in _NUMBERS:
        return _alike(b"".join(struct.pack(f"<{_NUMBERS[element.VR]}", value) for value in values))
    return _texts(dictionary_VR(tag) if dictionary_has_tag(tag) else element.VR, values, held)


def _alike(value: bytes) -> tuple[bytes, bytes]:
    return value, value


def _texts(vr: str, values: list[Any], held: bytes | None) -> tuple[bytes, bytes]:
    texts = [_FORMS.get(vr, _text)(value) for value in values]
    if not any(texts):
        return b"", b""
    text = b"\\".join(text.encode("utf-8", "surrogateescape") for text in texts)
    if held is None or vr not in _ENCODED or held.isascii():
        return text, text
    sent = held.rstrip(b" \0")
    # What could not be decoded is told by its bytes.
    return sent if any(_REPLACED in text for text in texts) else text, sent


def _private(raw: RawDataElement, value: bytes, dataset: Dataset, little: bool) -> tuple[bytes, bytes]:
    """A private value by its bytes where nobody knows what they are, as in implicit VR."""
    if raw.VR in (None, "UN"):
        if value.startswith(_ITEM):
            with contextlib.suppress(Exception):  # it is no sequence, or a damaged one: its bytes tell
                return _items(read_sequence(io.BytesIO(value), True, True, len(value), "iso8859"), True)
        return _alike(value)
    if raw.VR not in _TEXTS:
        return _alike(_little(value, raw.VR, little))
    sent = value.rstrip(b" \0")
    sent += b" " * (len(sent) % 2)
    if raw.VR in _ENCODED and not value.isascii():
        return _texts(raw.VR, _values(dataset[raw.tag]), value)[0], sent
    return sent, sent


def _items(items: Iterable[Dataset], little: bool) -> tuple[bytes, bytes]:
    decoded, sent = b"", b""
    for item in items:
        found = list(_elements(item, little))
        one, other = b"".join(value for _, value, _ in found), b"".join(as_sent for _, _, as_sent in found)
        decoded += _ITEM + struct.pack("<Q", len(one)) + one
        sent += _ITEM + struct.pack("<Q", len(other)) + other
    return decoded, sent


def _little(value: bytes, vr: str, little: bool) -> bytes:
    """Binary values in little endian."""
    size = 1 if little else _WORDS.get(vr, 1)
    if size == 1 or len(value) % size:
        return value
    return b"".join(value[at : at + size][::-1] for at in range(0, len(value), size))


def _values(element: DataElement) -> list[Any]:
    value = element.value
    if value is None:
        return []
    return list(value) if element.VM > 1 else [value[0] if isinstance(value, list) and value else value]


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
        number = Decimal(text) if "_" not in text else None
    except InvalidOperation:
        return text
    if number is None or not number.is_finite():
        return text
    return str(number.normalize(Context(prec=max(28, len(text)))) + 0)


def _date(value: Any) -> str:
    """PS3.5 6.2: ACR-NEMA's form is the same date."""
    return _text(value).replace(".", "")


def _time(value: Any) -> str:
    whole, _, fraction = _text(value).replace(":", "").partition(".")
    return f"{whole}.{fraction.rstrip('0')}".rstrip(".")


_FORMS = {"DS": _decimal, "IS": _decimal, "DA": _date, "TM": _time, "PN": _name, **dict.fromkeys(_PROSE, _prose)}
