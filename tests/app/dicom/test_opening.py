"""How files begin: the data set is found by reading group 2, whatever that says of itself."""

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from app.dicom.opening import Opening, read_opening
from app.settings import ImagingSettings
from benchmarks.hostile import Disguise, deflated_bomb, encoded, radiograph_header, under_a_lie
from tests.support.studies import instance, parsed


def opening_of(data: bytes) -> Opening:
    return read_opening(lambda offset, size: data[offset : offset + size], ImagingSettings())


@pytest.mark.parametrize("disguise", ["plain", "far", "straddle", "nopreamble", "lie", "nolength"])
def test_a_deflated_file_is_recognised_wherever_it_says_so(disguise: Disguise) -> None:
    data = deflated_bomb(0, disguise)
    opening = opening_of(data)
    assert (opening.deflated, opening.syntax) == (True, DeflatedExplicitVRLittleEndian)
    assert opening.prefixed is (disguise != "nopreamble")
    if disguise == "straddle":
        at = data.index(DeflatedExplicitVRLittleEndian.encode())
        assert at < 4_096 < at + len(DeflatedExplicitVRLittleEndian)


@pytest.mark.parametrize("length", [0, 1, 10_000, 0xFFFFFFF0])
def test_the_data_set_begins_where_group_2_ends_whatever_its_length_says(length: int) -> None:
    data = under_a_lie(radiograph_header(), length)
    assert data[opening_of(data).start :][:4] == b"\x08\x00\x16\x00"


def test_a_data_set_without_meta_information_tells_its_encoding() -> None:
    for implicit in (True, False):
        opening = opening_of(encoded(radiograph_header(), implicit=implicit))
        assert (opening.start, opening.syntax, opening.implicit, opening.little) == (0, "", implicit, True)
    assert opening_of(b"\x00\x08\x00\x05CS\x00\x0aISO_IR 100").encoding == ExplicitVRBigEndian


def test_implicit_vr_under_an_explicit_syntax_is_noticed() -> None:
    dataset = parsed(instance())
    data = instance()
    opening = opening_of(data)
    lying = data[: opening.start] + encoded(dataset, implicit=True)
    assert opening_of(lying).encoding == ImplicitVRLittleEndian


def test_bytes_that_are_no_dicom_begin_somewhere() -> None:
    for data in (b"", b"x", b"\0" * 200, PDF, b"\x02\x00\x10\x00UI"):
        assert opening_of(data).start >= 0


PDF = b"%PDF-1.7 " * 100
