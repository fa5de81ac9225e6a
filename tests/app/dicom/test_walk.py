"""The walk over a data set's elements: what it finds is what pydicom finds, and no input makes it long."""

import io
import struct
import time
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset

from app.dicom.opening import read_opening
from app.dicom.walk import OverLimit, Walked, walk
from app.settings import ImagingSettings
from benchmarks.hostile import encoded, nested, radiograph_header, with_elements, with_value

LIMITS = ImagingSettings(max_elements=1_000, max_nesting=8, max_value_mb=1)


def walked(data: bytes, limits: ImagingSettings = LIMITS, most_bytes: int = 10**6, longest: int = 4_096) -> Walked:
    """All elements of the top level that are no longer than `longest`."""

    def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    opening = read_opening(read, limits)
    return walk(
        read,
        opening.start,
        implicit=opening.implicit,
        little=opening.little,
        limits=limits,
        wanted=lambda _tag, size: size <= longest,
        most_bytes=most_bytes,
    )


@pytest.mark.parametrize("path", get_testdata_files("*.dcm"))
def test_the_elements_of_pydicoms_own_files_are_those_that_pydicom_finds(path: str) -> None:
    data = Path(path).read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, force=True)
    limits = ImagingSettings()
    opening = read_opening(lambda offset, size: data[offset : offset + size], limits)
    if opening.deflated:
        return  # in tests/app/imaging/test_headers.py
    found = pydicom.filereader.read_dataset(
        io.BytesIO(walked(data, limits, 10**9, 10**9).excerpt), opening.implicit, opening.little
    )
    expected = {element.tag for element in dataset.elements() if element.tag.group != 0}
    if "truncated" not in path.lower() and "nopixel" not in path.lower():
        assert {element.tag for element in found.elements()} == expected
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "PatientName", "Rows"):
        assert found.get(keyword) == dataset.get(keyword)


def test_elements_and_items_are_counted_at_every_level() -> None:
    with pytest.raises(OverLimit, match="1000 elements"):
        walked(with_elements(1_001))
    header = radiograph_header()
    header.OtherPatientIDsSequence = [Dataset() for _ in range(400)]
    for item in header.OtherPatientIDsSequence:
        item.PatientID = item.IssuerOfPatientID = "1"
    for implicit in (True, False):
        with pytest.raises(OverLimit):
            walked(encoded(header, implicit=implicit))
    assert walked(with_elements(500)).elements > 500


def test_the_fragments_of_an_encapsulated_value_are_counted() -> None:
    fragments = struct.pack("<HH2sHI", 0x0029, 0x1000, b"OB", 0, 0xFFFFFFFF)
    fragments += struct.pack("<HHI", 0xFFFE, 0xE000, 0) * 1_001
    with pytest.raises(OverLimit):
        walked(encoded(radiograph_header(), implicit=False) + fragments)


@pytest.mark.parametrize("defined", [True, False])
def test_nesting_ends_at_the_limit_and_a_depth_below_it_is_taken(defined: bool) -> None:
    assert walked(nested(8, defined=defined)).elements > 8
    for depth in (9, 5_000):
        with pytest.raises(OverLimit, match="deep"):
            walked(nested(depth, defined=defined))


def test_a_value_over_the_limit_is_refused_and_a_length_that_lies_is_the_end_of_the_walk() -> None:
    with pytest.raises(OverLimit, match="1 MB"):
        walked(with_value(1_000_001))
    whole = with_value(1_000_000)
    assert walked(whole).elements == walked(whole[:-999_999]).elements
    lying = whole[: -1_000_000 - 4] + struct.pack("<I", 0xFFFFFFF0)
    assert walked(lying + b"abc").elements < walked(whole).elements


def test_what_is_wanted_is_bounded() -> None:
    with pytest.raises(OverLimit, match="100 bytes"):
        walked(with_elements(20), most_bytes=100)


def test_a_million_empty_elements_end_within_the_limits_time() -> None:
    data = with_elements(1_000_000)
    started = time.process_time()
    with pytest.raises(OverLimit):
        walked(data, ImagingSettings())
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_a_file_that_breaks_off_anywhere_ends_the_walk(cut: int) -> None:
    data = nested(4, defined=True)
    assert walked(data[: len(data) - cut]).elements >= 0


def test_a_damaged_sequence_of_known_length_costs_nothing_but_itself() -> None:
    header = radiograph_header()
    damaged = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 16) + b"no item at all.."
    data = damaged + encoded(header, implicit=False)
    found = pydicom.filereader.read_dataset(io.BytesIO(walked(data).excerpt), False, True)
    assert found.SOPInstanceUID == header.SOPInstanceUID
