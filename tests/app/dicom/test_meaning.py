"""The digest of what an instance means: the same in every encoding, another with every value that is changed."""

import io
import struct
from collections.abc import Callable
from typing import Any

import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from app.dicom.meaning import Digests, attribute_digests
from tests.support.values import VALUES, digest, digest_of, encoded, full, parsed_again


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
