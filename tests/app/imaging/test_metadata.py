"""DICOM JSON: what is empty, what is referred to, and in which order bytes are (PS3.18 F)."""

import base64
import io
import json
import struct
from typing import Any

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from app.dicom.part10 import to_bytes
from app.imaging.metadata import metadata
from app.settings import ImagingSettings
from tests.support.studies import instance, parsed
from tests.support.syntaxes import encoded

URI = "http://pacs/instance/bulkdata"
LIMITS = ImagingSettings()


def json_of(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(metadata(io.BytesIO(data), URI, LIMITS))
    return found


PLAIN = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


@pytest.mark.parametrize("syntax", PLAIN, ids=lambda uid: uid.name)
@pytest.mark.parametrize(
    ("tag", "vr", "value", "expected"),
    [
        (0x00081140, "SQ", [], {"vr": "SQ"}),
        (0x00081140, "SQ", [Dataset()], {"vr": "SQ", "Value": [{}]}),
        (0x00081140, "SQ", [Dataset(), Dataset()], {"vr": "SQ", "Value": [{}, {}]}),
        (0x00100020, "LO", "", {"vr": "LO"}),
        (0x00100010, "PN", "", {"vr": "PN"}),
        (0x00100010, "PN", "=Y", {"vr": "PN", "Value": [{"Ideographic": "Y"}]}),
        (0x00101001, "PN", ["A", "", "B"], {"vr": "PN", "Value": [{"Alphabetic": "A"}, None, {"Alphabetic": "B"}]}),
        (0x00080008, "CS", ["ORIGINAL", "", "X"], {"vr": "CS", "Value": ["ORIGINAL", None, "X"]}),
        (0x00080008, "CS", ["", ""], {"vr": "CS", "Value": [None, None]}),
        (0x00281050, "DS", ["1.5", "", "2"], {"vr": "DS", "Value": [1.5, None, 2.0]}),
        (0x00200013, "IS", "", {"vr": "IS"}),
        (0x00181310, "US", [1, 2], {"vr": "US", "Value": [1, 2]}),
        (0x00181310, "US", None, {"vr": "US"}),
        (0x00189328, "FD", None, {"vr": "FD"}),
        (0x00280009, "AT", [0x00181063, 0x00181065], {"vr": "AT", "Value": ["00181063", "00181065"]}),
        (0x00281201, "OW", b"", {"vr": "OW"}),
        (0x00080008, "CS", None, {"vr": "CS"}),
    ],
)
def test_what_is_empty_has_no_value_and_is_null_among_others(
    syntax: str, tag: int, vr: str, value: object, expected: dict[str, Any]
) -> None:
    dataset = parsed(instance())
    dataset.add_new(tag, vr, value)
    assert json_of(encoded(dataset, syntax))[f"{tag:08X}"] == expected


@pytest.mark.parametrize("syntax", PLAIN, ids=lambda uid: uid.name)
def test_what_is_empty_in_an_item_is_as_it_is_outside(syntax: str) -> None:
    dataset, item = parsed(instance()), Dataset()
    item.ReferencedSeriesSequence = []
    item.CodeValue = ""
    item.PixelSpacing = ["1", ""]
    dataset.RequestAttributesSequence = [item]
    assert json_of(encoded(dataset, syntax))["00400275"]["Value"] == [
        {"00080100": {"vr": "SH"}, "00081115": {"vr": "SQ"}, "00280030": {"vr": "DS", "Value": [1.0, None]}}
    ]


@pytest.mark.parametrize("size", [768, 769, 70_000])
def test_long_values_are_referred_to_where_they_stand(size: int) -> None:
    dataset, item = parsed(instance()), Dataset()
    data = bytes(size + size % 2)
    item.RedPaletteColorLookupTableData = data
    dataset.RequestAttributesSequence = [Dataset(), item]
    dataset.RedPaletteColorLookupTableData = data
    dataset.private_block(0x0009, "MAKER", create=True).add_new(1, "OB", data)
    found = json_of(to_bytes(dataset))
    nested = found["00400275"]["Value"][1]["00281201"]
    for path, element in (("00281201", found["00281201"]), ("00091001", found["00091001"])):
        assert element.get("BulkDataURI") == (f"{URI}/{path}" if size > 768 else None)
        assert ("InlineBinary" in element) is (size <= 768)
    assert nested.get("BulkDataURI") == (f"{URI}/00400275/1/00281201" if size > 768 else None)


def test_a_long_text_and_a_long_sequence_are_not_left_out() -> None:
    dataset = parsed(instance())
    dataset.add_new(0x0040A160, "UT", "x" * 70_000)
    items = [Dataset() for _ in range(2_000)]
    for item in items:
        item.ReferencedSOPInstanceUID = "1.2.3.4.5.6.7.8.9.10.11.12"
    dataset.ReferencedImageSequence = items
    found = json_of(to_bytes(dataset))
    assert found["0040A160"] == {"vr": "UT", "BulkDataURI": f"{URI}/0040A160"}
    assert len(found["00081140"]["Value"]) == 2_000


def test_attributes_ascend_by_tag_at_every_level_and_group_lengths_are_left_out() -> None:
    dataset, item = parsed(instance()), Dataset()
    item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID = "1.2.3", "1.2"
    dataset.ReferencedImageSequence = [item]

    def element(tag: int, vr: bytes, value: bytes) -> bytes:
        return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value

    data = encoded(dataset, ExplicitVRLittleEndian)
    last = element(0x00080000, b"UL", bytes(4)) + element(0x00200000, b"UL", bytes(4))
    one = element(0x00081155, b"UI", b"1.2.3\0")
    other = element(0x00081150, b"UI", b"1.2\0")
    lengths = element(0x00080000, b"UL", bytes(4))
    assert other + one in data
    # Elements that do not ascend, in front of the pixel data and in an item.
    swapped = data.replace(other + one, one + other)
    at = swapped.index(b"\xe0\x7f\x10\x00")
    found = json_of(swapped[:at] + last + lengths + element(0x00181000, b"LO", b"X ") + swapped[at:])
    assert list(found["00081140"]["Value"][0]) == ["00081150", "00081155"]
    for level in (found, found["00081140"]["Value"][0]):
        assert list(level) == sorted(level)
    assert "00181000" in found
    assert not [tag for tag in found if tag.endswith("0000")]


def test_inline_binary_is_little_endian() -> None:
    dataset, item = parsed(instance()), Dataset()
    big = np.array([1, 2, 3], ">u2")
    dataset.RedPaletteColorLookupTableData = item.RedPaletteColorLookupTableData = big.tobytes()
    dataset.RequestAttributesSequence = [item]
    found = json_of(encoded(dataset, ExplicitVRBigEndian))
    for element in (found["00281201"], found["00400275"]["Value"][0]["00281201"]):
        assert base64.b64decode(element["InlineBinary"]) == big.astype("<u2").tobytes()


@pytest.mark.parametrize(
    ("name", "vr"),
    [
        ("CT_small.dcm", "OW"),
        ("MR_small_bigendian.dcm", "OW"),
        ("MR_small_implicit.dcm", "OW"),
        ("MR_small_RLE.dcm", "OW"),
        ("examples_rgb_color.dcm", "OB"),
        ("SC_rgb_rle.dcm", "OB"),
        ("image_dfl.dcm", "OB"),
    ],
)
def test_pixel_data_is_listed_with_the_vr_in_which_it_is_given(name: str, vr: str) -> None:
    with open(str(get_testdata_file(name)), "rb") as stream:
        found = json_of(stream.read())
    (tag,) = (tag for tag in found if tag.startswith("7FE0"))
    assert found[tag] == {"vr": vr, "BulkDataURI": f"{URI}/{tag}"}


@pytest.mark.parametrize(("keyword", "vr"), [("FloatPixelData", "OF"), ("DoubleFloatPixelData", "OD")])
def test_pixel_data_of_floating_point_numbers_is_listed_too(keyword: str, vr: str) -> None:
    dataset = parsed(instance(PixelData=None))
    setattr(dataset, keyword, bytes(800))
    tag = f"{Tag(keyword):08X}"
    assert json_of(to_bytes(dataset))[tag] == {"vr": vr, "BulkDataURI": f"{URI}/{tag}"}


def test_an_instance_without_pixel_data_or_with_an_empty_one_refers_to_none() -> None:
    dataset = parsed(instance())
    dataset.PixelData = b""
    assert json_of(to_bytes(dataset))["7FE00010"] == {"vr": "OW"}
    del dataset.PixelData
    assert "7FE00010" not in json_of(to_bytes(dataset))


def test_compressed_pixel_data_is_listed_without_being_read() -> None:
    dataset = parsed(instance())
    dataset.compress(RLELossless, generate_instance_uid=False)
    data = to_bytes(dataset)
    assert json_of(data[:-1_000])["7FE00010"]["BulkDataURI"] == f"{URI}/7FE00010"
