"""The digest of what an instance means: the same in every encoding, another with every value that is changed."""

import io
import struct
from collections.abc import Callable
from typing import Any

import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from app.dicom.meaning import Digests, attribute_digests
from app.third_parties import set_up_pydicom
from tests.support.studies import instance, parsed

set_up_pydicom()

# A value of every VR, by a public attribute (PS3.6) that has it, and another value.
VALUES: dict[str, tuple[str, Any, Any]] = {
    "AE": ("ScheduledStationAETitle", "AET", "AET2"),
    "AS": ("PatientAge", "030Y", "031Y"),
    "AT": ("FrameIncrementPointer", 0x00181063, 0x00181065),
    "CS": ("BodyPartExamined", "CHEST", "ABDOMEN"),
    "DA": ("AcquisitionDate", "20260101", "20260102"),
    "DS": ("PixelSpacing", ["0.143", "0.143"], ["0.143", "0.144"]),
    "DT": ("AcquisitionDateTime", "20260101101500", "20260101101501"),
    "FD": ("WaterEquivalentDiameter", 1.5, 1.25),
    "FL": ("ExaminedBodyThickness", 2.5, 2.25),
    "IS": ("ExposureTime", "12", "13"),
    "LO": ("InstitutionName", "Praxis Müller", "Praxis Muller"),
    "LT": ("PatientComments", "line 1\r\nline 2", "line 1\nline 2"),
    "OB": ("ICCProfile", b"\1\2\3\4", b"\1\2\3\5"),
    "OD": ("DoublePointCoordinatesData", struct.pack("<2d", 1, 2), struct.pack("<2d", 2, 1)),
    "OF": ("FloatingPointValues", struct.pack("<2f", 1, 2), struct.pack("<2f", 2, 1)),
    "OL": ("SelectorOLValue", struct.pack("<2L", 1, 2), struct.pack("<2L", 2, 1)),
    "OV": ("SelectorOVValue", struct.pack("<2Q", 1, 2), struct.pack("<2Q", 2, 1)),
    "OW": ("RedPaletteColorLookupTableData", b"\1\2\3\4", b"\2\1\4\3"),
    "PN": ("ReferringPhysicianName", "Müller^Ann", "Müller^Anna"),
    "SH": ("AccessionNumber", "A-1", "A-2"),
    "SL": ("ReferencePixelX0", -70_000, -70_001),
    "SS": ("TagAngleSecondAxis", -3, -4),
    "ST": ("InstitutionAddress", "one", "two"),
    "TM": ("AcquisitionTime", "101500", "101501"),
    "UC": ("LongCodeValue", "x" * 100, "y" * 100),
    "UI": ("FrameOfReferenceUID", "1.2.3", "1.2.4"),
    "UL": ("RegionFlags", 70_000, 70_001),
    "UR": ("RetrieveURI", "http://a", "http://b"),
    "US": ("PregnancyStatus", 1, 2),
    "SV": ("SelectorSVValue", -(2**40), -(2**41)),
    "UV": ("TotalNumberOfStudyRecords", 2**40, 2**41),
    "UT": ("TextValue", "free text", "Free text"),
}


_BASE = instance(SpecificCharacterSet="ISO_IR 100", PixelPaddingValue=60_000)


def full() -> Dataset:
    """A data set with all of them, at the top and in a sequence, and private elements."""
    dataset = parsed(_BASE)
    del dataset.PixelData, dataset.file_meta
    item = Dataset()
    for keyword, value, _ in VALUES.values():
        for one in (dataset, item):
            setattr(one, keyword, value)
    dataset.RequestAttributesSequence = Sequence([item, Dataset()])
    block = dataset.private_block(0x0029, "MAKER", create=True)
    block.add_new(0x01, "LO", "odd text")
    block.add_new(0x02, "US", 513)
    block.add_new(0x03, "OB", b"\1\2\3\4")
    inner = Dataset()
    inner.PatientID, inner.Rows = "P", 513
    block.add_new(0x04, "SQ", Sequence([inner]))
    return dataset


def encoded(dataset: Dataset, *, implicit: bool = False, little: bool = True) -> bytes:
    """A data set's elements."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little
    # A copy that knows of no other encoding.
    write_dataset(buffer, dataset, "iso8859")
    return bytes(buffer.getvalue())


def digest(data: bytes, *, implicit: bool = False, little: bool = True) -> str:
    """What elements mean."""
    dataset = read_dataset(io.BytesIO(data), implicit, little)
    return attribute_digests(dataset, little=little).attributes


def digest_of(dataset: Dataset) -> str:
    """The same of a data set."""
    return digest(encoded(dataset))


@pytest.fixture(scope="module")
def expected() -> str:
    """The digest of the full data set."""
    return digest_of(full())


def test_the_table_has_every_vr_that_a_public_attribute_can_have_here() -> None:
    for vr, (keyword, one, other) in VALUES.items():
        assert pydicom.datadict.dictionary_VR(keyword).startswith(vr), keyword
        assert one != other


def test_implicit_vr_means_the_same(expected: str) -> None:
    assert digest(encoded(full(), implicit=True), implicit=True) == expected


def test_big_endian_means_the_same(expected: str) -> None:
    dataset = full()
    # pydicom writes binary values as they are.
    for vr, code in {"OW": "2H", "OD": "2d", "OF": "2f", "OL": "2L", "OV": "2Q"}.items():
        keyword, value, _ = VALUES[vr]
        for one in (dataset, dataset.RequestAttributesSequence[0]):
            setattr(one, keyword, struct.pack(f">{code}", *struct.unpack(f"<{code}", value)))
    assert digest(encoded(dataset, little=False), little=False) == expected


def _defined(dataset: Dataset) -> None:
    for sequence in (dataset["RequestAttributesSequence"], dataset[0x00291004]):
        sequence.is_undefined_length = True
        for item in sequence.value:
            item.is_undefined_length_sequence_item = True


def _group_lengths(dataset: Dataset) -> None:
    for group in (0x0008, 0x0010, 0x0029):
        dataset.add_new((group, 0), "UL", 4)


def _utf_8(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"


def _padded(dataset: Dataset) -> None:
    for one in (dataset, dataset.RequestAttributesSequence[0]):
        one.AccessionNumber, one.ExposureTime, one.PixelSpacing = "  A-1 ", " 12", ["0.1430", " 1.43e-1"]
        one.ReferringPhysicianName, one.TextValue, one.FrameOfReferenceUID = "Müller^Ann^^", "free text  ", "1.2.3\0"


def _of_a_copy(dataset: Dataset) -> None:
    dataset.RetrieveAETitle, dataset.InstanceAvailability, dataset.RetrieveURL = "PACS", "ONLINE", "http://pacs"
    item = Dataset()
    item.Manufacturer = "A PACS"
    dataset.ContributingEquipmentSequence = Sequence([item])


def _empty(dataset: Dataset) -> None:
    dataset.StudyDescription, dataset.PatientWeight, dataset.ProcedureCodeSequence = "", None, Sequence([])
    dataset.DataSetTrailingPadding, dataset.LossyImageCompression = bytes(10), "00"
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = bytes(8), bytes(8)


@pytest.mark.parametrize(
    "change", [_defined, _group_lengths, _utf_8, _padded, _of_a_copy, _empty], ids=lambda one: one.__name__
)
def test_another_form_of_the_same_values_means_the_same(expected: str, change: Callable[[Dataset], None]) -> None:
    dataset = full()
    change(dataset)
    assert digest_of(dataset) == expected


def test_elements_in_another_order_mean_the_same(expected: str) -> None:
    whole = encoded(full())
    at = whole.index(b"\x10\0\x10\0PN")
    assert digest(whole[at:] + whole[:at]) == expected


def test_a_number_whose_sign_is_stated_otherwise_means_the_same() -> None:
    unsigned, signed = full(), full()
    signed.add(DataElement(0x00280120, "SS", 60_000 - 65_536))
    assert digest_of(unsigned) == digest_of(signed)


@pytest.mark.parametrize("nested", [False, True], ids=["top", "item"])
@pytest.mark.parametrize("vr", VALUES)
def test_another_value_means_something_else(expected: str, vr: str, nested: bool) -> None:
    keyword, _, other = VALUES[vr]
    for change in (lambda one: setattr(one, keyword, other), lambda one: delattr(one, keyword)):
        dataset = full()
        change(dataset.RequestAttributesSequence[0] if nested else dataset)
        assert digest_of(dataset) != expected


@pytest.mark.parametrize("element", [0x01, 0x02, 0x03, 0x04])
def test_another_private_value_means_something_else(expected: str, element: int) -> None:
    other: dict[int, Any] = {1: "Odd text", 2: 514, 3: b"\1\2\3\5", 4: Sequence([Dataset()])}
    dataset = full()
    dataset[0x00291000 + element].value = other[element]
    assert digest_of(dataset) != expected


def test_values_that_move_between_elements_or_items_mean_something_else(expected: str) -> None:
    dataset = full()
    dataset.RequestAttributesSequence = Sequence(list(dataset.RequestAttributesSequence)[::-1])
    assert digest_of(dataset) != expected
    dataset = full()
    del dataset.RequestAttributesSequence[1]
    assert digest_of(dataset) != expected
    one, other = full(), full()
    one.InstitutionName, one.StationName = "AB", "C"
    other.InstitutionName, other.StationName = "A", "BC"
    assert digest_of(one) != digest_of(other)


def digests(**attributes: Any) -> Digests:
    """The digests of the full data set with other attributes."""
    dataset = full()
    dataset.ImageType, dataset.WindowCenter = ["ORIGINAL", "PRIMARY"], "2048"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return attribute_digests(parsed_again(dataset), little=True)


def test_what_lossy_compression_states_and_changes_is_left_out_of_the_other_digests() -> None:
    one = digests()
    stated = digests(
        LossyImageCompression="01", LossyImageCompressionRatio="10", ImageType=["DERIVED", "PRIMARY"],
        DerivationDescription="compressed",
    )  # fmt: skip
    assert (stated.attributes != one.attributes, stated.lasting, stated.rescaled) == (True, one.lasting, one.rescaled)
    scaled = digests(BitsAllocated=8, BitsStored=8, HighBit=7, WindowCenter="128", RescaleSlope="1", RescaleIntercept=0)
    assert (scaled.lasting != one.lasting, scaled.rescaled) == (True, one.rescaled)
    for other in (
        {"PatientName": "Somebody^Else"},
        {"ImageType": ["DERIVED", "SECONDARY"]},
        {"PhotometricInterpretation": "MONOCHROME2"},
        {"PixelRepresentation": 1},
        {"Rows": 7},
    ):
        changed = digests(**other)
        assert (changed.lasting != one.lasting, changed.rescaled != one.rescaled) == (True, True), other


@pytest.mark.parametrize(
    "keyword",
    ["InstanceCoercionDateTime", "DerivationDescription", "StorageMediaFileSetID", "RetrieveAETitle"],
)
def test_what_the_hands_of_a_copy_note_is_none_of_it(expected: str, keyword: str) -> None:
    dataset = full()
    setattr(dataset, keyword, "20260101101500" if keyword.endswith("Time") else "NOTED")
    assert digest_of(dataset) == expected


@pytest.mark.parametrize(
    ("one", "other"), [("101500", "101500.000000"), ("1015", "10:15"), ("101500.5", "101500.500")], ids=str
)
def test_times_and_dates_of_another_form_are_the_same(one: str, other: str) -> None:
    found = [full(), full()]
    found[0].AcquisitionTime, found[1].AcquisitionTime = one, other
    found[0].AcquisitionDate, found[1].AcquisitionDate = "20260101", "2026.01.01"
    assert digest_of(found[0]) == digest_of(found[1])


@pytest.mark.parametrize(
    ("vr", "one", "other"),
    [
        ("US", 0, 32), ("US", 0, 8192), ("US", 32, 0x2020), ("UL", 1, 8193), ("SS", [1, 0], [1]),
        ("OB", b"\1\0", b"\1\x20"), ("FL", 0.0, None), ("LO", "a", "b"), ("DS", "1_00", "100"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
def test_private_values_that_differ_in_bytes_that_look_like_padding_differ(
    vr: str, one: Any, other: Any, implicit: bool
) -> None:
    found = []
    for value in (one, other):
        dataset = full()
        if value is not None:
            dataset.private_block(0x0029, "MAKER").add_new(0x10, vr, value)
        found.append(digest(encoded(dataset, implicit=implicit), implicit=implicit))
    assert found[0] != found[1]


CASES = {
    "Latin-1 under UTF-8": ("ISO_IR 192", "Müller".encode("latin-1"), "Möller".encode("latin-1")),
    "GBK under UTF-8": ("ISO_IR 192", "张三".encode("gbk"), "李四".encode("gbk")),
    "broken GB18030": ("GB18030", b"A\xff\xffB", b"A\xff\xfeB"),
    "Latin-1 under none": ("", "Müller".encode("latin-1"), "Möller".encode("latin-1")),
}


@pytest.mark.parametrize("vr", ["PN", "LO"])
@pytest.mark.parametrize(("terms", "one", "other"), CASES.values(), ids=CASES)
def test_texts_that_cannot_be_decoded_differ_by_their_bytes(vr: str, terms: str, one: bytes, other: bytes) -> None:
    tag = {"PN": (0x0010, 0x0010), "LO": (0x0008, 0x0080)}[vr]

    def with_value(value: bytes) -> bytes:
        value += b" " * (len(value) % 2)
        head = struct.pack("<HH2sH", 0x0008, 0x0005, b"CS", len(terms)) + terms.encode()
        return head + struct.pack("<HH2sH", *tag, vr.encode(), len(value)) + value

    assert digest(with_value(one)) != digest(with_value(other))
    assert digest(with_value(one)) == digest(with_value(one + b"  "))


def test_what_was_sent_is_the_same_whatever_the_character_set_says_of_it() -> None:
    one = full()
    one.PatientName = "Müller^Jörg"
    elements = encoded(one)
    other = elements.replace(b"ISO_IR 100", b"ISO_IR 192")
    found = [attribute_digests(read_dataset(io.BytesIO(data), False, True), little=True) for data in (elements, other)]
    assert found[0].sent == found[1].sent
    assert found[0].attributes != found[1].attributes
    assert [one.character_set for one in found] == ["ISO_IR 100", "ISO_IR 192"]


def test_a_character_set_that_was_changed_with_private_texts_means_the_same() -> None:
    one, other = full(), full()
    for dataset in (one, other):
        dataset.private_block(0x0029, "MAKER").add_new(0x10, "LO", "Müller")
    other.SpecificCharacterSet = "ISO_IR 192"
    assert digest_of(one) == digest_of(other)


def parsed_again(dataset: Dataset) -> Dataset:
    """A data set as it is read back."""
    return read_dataset(io.BytesIO(encoded(dataset)), False, True)


@pytest.mark.parametrize("value", [b"1.2.3.4 ", b"abc ", b"1e9999", b"NaN ", b"1.0\\"])
def test_a_number_that_is_none_is_compared_as_text(value: bytes) -> None:
    def with_value(value: bytes) -> bytes:
        return struct.pack("<HH2sH", 0x0018, 0x1152, b"DS", len(value)) + value

    assert digest(with_value(value)) == digest(with_value(value + b" " * 2))
    assert digest(with_value(value)) != digest(with_value(b"9" + value + b" "))
