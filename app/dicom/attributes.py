"""Attributes in DICOM JSON (PS3.18 F), as the database keeps them."""

from collections.abc import Mapping
from typing import Any


def value_of(attributes: Mapping[str, Any], tag: str) -> str:
    """The first value of an attribute as text; a person name is its first component group that is set."""
    values = attributes.get(tag, {}).get("Value") or [""]
    first = values[0]
    if isinstance(first, dict):
        return str(first.get("Alphabetic") or first.get("Ideographic") or first.get("Phonetic") or "")
    return "" if first is None else str(first)
