"""Data sets as services send them about objects: DICOM JSON (PS3.18 F) and the Native DICOM Model (PS3.19 A.1)."""

import json
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate

from app.errors import MalformedInput

_DEEPEST = 32
_SPACE = b"\xef\xbb\xbf \t\r\n"

JsonDataset = dict[str, Any]
"""A data set as DICOM JSON has it: tags in hexadecimal, each with `vr` and `Value`."""


def json_datasets(body: bytes) -> list[JsonDataset]:
    """The data sets of a body, told by its first character: services name media types as they like.

    The caller bounds its length. Raises MalformedInput.
    """
    try:
        found = [_of_model(_parse(body))] if body.lstrip(_SPACE).startswith(b"<") else json.loads(body)
    except (ValueError, ExpatError, RecursionError) as error:
        raise MalformedInput("It is neither DICOM JSON nor a Native DICOM Model.") from error
    found = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in found):
        raise MalformedInput("It holds no data sets.")
    return found


def values_of(dataset: JsonDataset, tag: str) -> list[Any]:
    """The values of an attribute, such as `00081198`; none where it is absent or empty. Raises MalformedInput."""
    element = dataset.get(tag, {})
    values = element.get("Value", []) if isinstance(element, dict) else None
    if not isinstance(values, list):
        raise MalformedInput("An attribute has no list of values.")
    return values


def _parse(body: bytes) -> Element:
    """The root of an XML document without a document type: entities, which expand or fetch, are declared in one.

    Raises ValueError, ExpatError.
    """
    builder, parser, depth = TreeBuilder(), ParserCreate(), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise ValueError("The elements are nested too deep.")
        builder.start(name.rpartition(":")[2], attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name.rpartition(":")[2])

    def refuse(*_: object) -> None:
        raise ValueError("It has a document type.")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.Parse(body, True)
    return builder.close()


def _of_model(root: Element) -> JsonDataset:
    if root.tag != "NativeDicomModel":
        raise ValueError("The root is no Native DICOM Model.")
    return _dataset(root)


def _dataset(parent: Element) -> JsonDataset:
    found = {}
    for attribute in parent.iterfind("DicomAttribute"):
        values: list[Any] = [_dataset(item) for item in attribute.iterfind("Item")]
        values += [(value.text or "").strip() for value in attribute.iterfind("Value")]
        found[attribute.get("tag", "").upper()] = {"vr": attribute.get("vr", ""), "Value": values}
    return found
