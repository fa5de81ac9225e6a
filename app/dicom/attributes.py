"""Attributes in DICOM JSON (PS3.18 F), as the database keeps them."""

from collections.abc import Mapping
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VM
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def json_of(element: DataElement) -> dict[str, Any]:
    """An element in DICOM JSON. A backslash in the text of an attribute of one value is no border of values: names and
    numbers with one are what a sender wrote, and are found again as that.
    """
    value = element.value
    single = dictionary_has_tag(element.tag) and dictionary_VM(element.tag) == "1"
    if not single or not isinstance(value, MultiValue) or not all(isinstance(one, str | PersonName) for one in value):
        return dict(element.to_json_dict(None, 0))
    text = "\\".join(str(one) for one in value)
    if element.VR != "PN":
        return {"vr": element.VR, "Value": [text]}
    groups = dict(zip(_GROUPS, text.split("="), strict=False))
    return {"vr": "PN", "Value": [{name: group for name, group in groups.items() if group}]}


def whole_of(attributes: Mapping[str, Any], tag: str) -> str:
    """An attribute of one value as text, without what pads it: a backslash in it is no border of values."""
    return "\\".join(str(value or "") for value in attributes.get(tag, {}).get("Value") or [""]).strip()


def value_of(attributes: Mapping[str, Any], tag: str) -> str:
    """The first value of an attribute as text; a person name is its first component group that is set."""
    values = attributes.get(tag, {}).get("Value") or [""]
    first = values[0]
    if isinstance(first, dict):
        return str(first.get("Alphabetic") or first.get("Ideographic") or first.get("Phonetic") or "")
    return "" if first is None else str(first)
