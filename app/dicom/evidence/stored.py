"""What intake keeps of a header for its evidence, as DICOM JSON (PS3.18 F), and the way back.

Sequences are cut to their codes and modifiers, and texts to 256 characters, without control characters: a database
refuses some of them, and an instance with a strange description is worth keeping.
"""

from collections.abc import Mapping
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from app.dicom.evidence import body_part, orientation, purpose, view
from app.dicom.evidence.codes import MODIFIERS, Code, codes_of
from app.dicom.values import texts_of

KEYWORDS = tuple(dict.fromkeys((*body_part.KEYWORDS, *view.KEYWORDS, *orientation.KEYWORDS, *purpose.KEYWORDS)))
_TAGS = {keyword: f"{Tag(keyword):08X}" for keyword in KEYWORDS}
_ITEM = {"value": "00080100", "scheme": "00080102", "meaning": "00080104"}
_VR = {"value": "SH", "scheme": "SH", "meaning": "LO"}
_MOST_CODES = 8


def kept_of(dataset: Dataset, keyword: str) -> dict[str, Any] | None:
    """An attribute in DICOM JSON, None where it is absent or empty."""
    vr = dictionary_VR(keyword)
    if vr != "SQ":
        values = [_clean(value) for value in texts_of(dataset, keyword)]
        return {"vr": vr, "Value": values} if any(values) else None
    items = [_item(code, MODIFIERS.get(keyword)) for code in codes_of(dataset, keyword)[:_MOST_CODES]]
    return {"vr": vr, "Value": items} if items else None


def _item(code: Code, modifiers: str | None) -> dict[str, Any]:
    texts = {name: _clean(getattr(code, name)) for name in _ITEM}
    item: dict[str, Any] = {
        tag: {"vr": _VR[name], "Value": [texts[name]]} for name, tag in _ITEM.items() if texts[name]
    }
    if modifiers is not None and code.modifiers:
        found = [_item(modifier, None) for modifier in code.modifiers[:_MOST_CODES]]
        item[f"{Tag(modifiers):08X}"] = {"vr": "SQ", "Value": found}
    return item


def dataset_of(attributes: Mapping[str, Any]) -> Dataset:
    """The data set of stored attributes, as far as evidence needs it. What cannot be read is left out."""
    found = Dataset()
    for tag in _TAGS.values():
        try:
            if tag in attributes:
                found.update(Dataset.from_json({tag: attributes[tag]}))
        except Exception:  # noqa: S112 (a value that an older release kept as it was)
            continue
    return found


def _clean(text: str) -> str:
    """Printable characters only, which also leaves out lone surrogates."""
    return "".join(one for one in text if one.isprintable())
