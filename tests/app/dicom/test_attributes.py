"""Attributes in DICOM JSON."""

from typing import Any

import pytest
from pydicom.dataelem import DataElement
from pydicom.tag import Tag

from app.dicom.attributes import json_of, value_of, whole_of


@pytest.mark.parametrize(
    ("vr", "keyword", "value", "expected"),
    [
        ("PN", "PatientName", "Smith\\John", [{"Alphabetic": "Smith\\John"}]),
        ("PN", "PatientName", "A^B=C\\D", [{"Alphabetic": "A^B", "Ideographic": "C\\D"}]),
        ("PN", "PatientName", "A^B", [{"Alphabetic": "A^B"}]),
        ("LO", "PatientID", "12\\34", ["12\\34"]),
        ("SH", "AccessionNumber", "A1\\A2\\", ["A1\\A2\\"]),
        ("CS", "ImageType", "ORIGINAL\\PRIMARY", ["ORIGINAL", "PRIMARY"]),
        ("PN", "OperatorsName", "A^B\\C^D", [{"Alphabetic": "A^B"}, {"Alphabetic": "C^D"}]),
    ],
)
def test_a_backslash_parts_values_only_where_there_may_be_several(
    vr: str, keyword: str, value: str, expected: list[Any]
) -> None:
    assert json_of(DataElement(Tag(keyword), vr, value)) == {"vr": vr, "Value": expected}


def test_a_value_with_a_backslash_is_found_by_what_was_written() -> None:
    attributes = {"00100020": json_of(DataElement(Tag("PatientID"), "LO", "12\\34"))}
    assert whole_of(attributes, "00100020") == value_of(attributes, "00100020") == "12\\34"
