"""An instance in DICOM JSON (PS3.18 F). For the confined processes alone."""

import base64
import json
from typing import Any, BinaryIO

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.jsonrep import convert_to_python_number
from pydicom.tag import BaseTag
from pydicom.valuerep import AMBIGUOUS_VR, BYTES_VR

from app.dicom.opening import Opening
from app.dicom.values import number_of
from app.dicom.walk import OverLimit, Read
from app.imaging import instance, wire
from app.imaging.explicit import little, vr_of
from app.settings import ImagingSettings

# PS3.18 F.2: longer binary values are referred to. Values that are longer yet are not even read.
_INLINE_BYTES, _READ_BYTES = 768, 65_536
_PIXELS = {0x7FE00008: "OF", 0x7FE00009: "OD", 0x7FE00010: "OB"}
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def metadata(stream: BinaryIO, uri: str, limits: ImagingSettings) -> bytes:
    """An instance in DICOM JSON; values that are left out are below `uri`, at their tags and items.

    Raises MalformedInput, TooLarge where it is longer than an answer may be.
    """

    def find(read: Read, opening: Opening) -> bytes:
        pixels: list[tuple[int, str | None, int]] = []

        def stop_when(tag: BaseTag, vr: str | None, size: int) -> bool:
            if tag in _PIXELS:
                pixels.append((int(tag), vr, size))
            return tag in _PIXELS

        dataset, plain = instance.beginning(stream, read, opening, limits, stop_when, _READ_BYTES)
        elements = _Json(plain).elements(dataset, uri)
        if pixels:
            tag, vr, size = pixels[0]
            place = {"BulkDataURI": f"{uri}/{tag:08X}"} if size else {}
            elements.append(f'"{tag:08X}": {json.dumps({"vr": _pixel_vr(dataset, tag, vr), **place})}')
        text = ("{" + ", ".join(sorted(elements)) + "}").encode()
        if len(text) > wire.MOST_BYTES:
            raise OverLimit(f"The metadata is longer than {wire.MOST_BYTES // 1_000_000} MB.")
        return text

    return instance.bounded(stream, limits, find)


def _pixel_vr(dataset: Dataset, tag: int, vr: str | None) -> str:
    """The VR of the pixel data as it is given: uncompressed (PS3.5 A.2)."""
    if tag == 0x7FE00010 and number_of(dataset, "BitsAllocated") > 8:
        return "OW"
    return vr or _PIXELS[tag]


class _Json:
    """Writes data sets; what cannot be converted is left out.

    pydicom's own conversion of a whole data set leaves out whatever breaks its VR's rules as well, such as a UID with a
    leading zero.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def elements(self, dataset: Dataset, place: str, ancestors: tuple[Dataset, ...] = ()) -> list[str]:
        """The members of a data set's object, by tag, without group lengths (PS3.18 F.2.2)."""
        found = []
        for tag in sorted(dataset.keys()):  # (iterating over the data set itself converts its elements)
            if tag.element == 0:
                continue
            try:
                found.append(f'"{tag:08X}": {self._element(dataset, tag, f"{place}/{tag:08X}", ancestors)}')
            except Exception:  # noqa: S112 (a damaged value; the others are still of use)
                continue
        return found

    def _element(self, dataset: Dataset, tag: BaseTag, place: str, ancestors: tuple[Dataset, ...]) -> str:
        raw = dataset.get_item(tag, keep_deferred=True)
        swapped = isinstance(raw, RawDataElement) and not raw.is_little_endian
        if isinstance(raw, RawDataElement) and raw.value is None and raw.length:
            vr = vr_of(raw, dataset, ancestors)
            if vr != "SQ":
                return json.dumps({"vr": vr, "BulkDataURI": place})
            self._stream.seek(raw.value_tell)
            dataset[tag] = raw._replace(value=self._stream.read(raw.length))
        vr = vr_of(raw, dataset, ancestors) if isinstance(raw, RawDataElement) else ""
        element = dataset[tag]
        if element.VR == "SQ":
            inner = (dataset, *ancestors)
            items = [
                "{" + ", ".join(self.elements(item, f"{place}/{number}", inner)) + "}"
                for number, item in enumerate(element.value or [])
            ]
            # PS3.18 F.2.5: what is empty has no Value, an empty item is an empty object.
            return '{"vr": "SQ"' + (f', "Value": [{", ".join(items)}]' if items else "") + "}"
        return json.dumps(_simple(element, vr, place, swapped), allow_nan=False)


def _simple(element: DataElement, vr: str, place: str, swapped: bool) -> dict[str, Any]:
    """An element that is no sequence; `vr` is for one whose VR pydicom has not found. Raises what json does."""
    value, vr = element.value, vr if element.VR in AMBIGUOUS_VR else element.VR
    if vr in BYTES_VR:
        if not value:
            return {"vr": vr}
        if len(value) > _INLINE_BYTES:
            return {"vr": vr, "BulkDataURI": place}
        data = little(value, vr) if swapped else value  # PS3.18 F.2.7
        return {"vr": vr, "InlineBinary": base64.b64encode(data).decode()}
    values = [] if element.is_empty else value if element.VM > 1 else [value]
    return {"vr": vr, **({"Value": [_value(one, vr) for one in values]} if values else {})}


def _value(value: Any, vr: str) -> Any:
    """One value; null where it is empty among others (PS3.18 F.2.5)."""
    if vr == "PN":
        groups = value.components if value else ()
        return {name: group for name, group in zip(_GROUPS, groups, strict=False) if group} or None
    if value is None or value == "":
        return None
    if vr == "AT":
        return f"{value:08X}"
    return convert_to_python_number(value, vr)
