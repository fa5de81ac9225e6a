"""Attributes in DICOM JSON (PS3.18 F), as the database keeps them."""

from collections.abc import Mapping
from typing import Any


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
