"""Tables, slopes, windows and bits that are not what they say: a right picture, or a refusal in words."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian

from app.errors import CxrError
from app.imaging import Radiograph, read_radiograph
from app.imaging.luts import Lut
from app.settings import ImagingSettings
from tests.support.radiographs import file_of, radiograph

LIMITS = ImagingSettings()
_SEQUENCES = ("ModalityLUTSequence", "VOILUTSequence", "PresentationLUTSequence")


def ramp(bits: int = 12, kind: type = np.uint16) -> np.ndarray:
    return np.broadcast_to(np.linspace(0, 2**bits - 1, 128), (128, 128)).astype(kind)


def read(pixels: np.ndarray, **attributes: object) -> Radiograph:
    bits = {"BitsStored": 12, "HighBit": 11} if pixels.itemsize == 2 else {}
    return read_radiograph(file_of(radiograph(pixels, **{**bits, **attributes})), LIMITS, 128)


def code_of(pixels: np.ndarray, **attributes: object) -> str:
    with pytest.raises(CxrError) as caught:
        read(pixels, **attributes)
    assert caught.value.detail.endswith(".")
    return caught.value.code


def table(entries: np.ndarray, bits: int, stated: int | None = None, first: int = 0, vr: str = "OW") -> Sequence:
    item = Dataset()
    count = len(entries) if stated is None else stated
    item.add_new(0x00283002, "SS" if first < 0 else "US", [count % 65_536, first, bits])
    item.add_new(0x00283006, vr, entries.tobytes() if vr == "OW" else [int(one) for one in entries])
    return Sequence([item])


@pytest.mark.parametrize("sequence", _SEQUENCES)
@pytest.mark.parametrize("bits", [8, 10, 11, 12, 13, 14, 15, 16])
def test_a_table_of_any_depth_that_fills_it_gives_the_picture_without_it(sequence: str, bits: int) -> None:
    entries = np.linspace(0, 2**bits - 1, 4096).astype(np.uint16)
    found = read(ramp(), **{sequence: table(entries, bits)})
    assert np.abs(found.pixels.astype(int) - read(ramp()).pixels).max() <= 4
    assert found.warnings == ()


@pytest.mark.parametrize("sequence", ["VOILUTSequence", "PresentationLUTSequence"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_a_table_of_entries_that_need_fewer_bits_than_it_says_is_no_dark_picture(
    sequence: str, bits: int, missing: int
) -> None:
    entries = np.linspace(0, 2 ** (bits - missing) - 1, 4096).astype(np.uint16)
    found = read(ramp(), **{sequence: table(entries, bits)})
    assert np.abs(found.pixels.astype(int) - read(ramp()).pixels).max() <= 6
    assert any("fewer bits" in one for one in found.warnings)


@pytest.mark.parametrize("sequence", _SEQUENCES)
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_a_table_that_lacks_entries_which_the_image_needs_is_refused(sequence: str, bits: int) -> None:
    entries = np.linspace(0, 2**bits - 1, 2048).astype(np.uint16)
    assert code_of(ramp(), **{sequence: table(entries, bits, stated=4096)}) == "unreadable_pixels"


@pytest.mark.parametrize("bits", [12, 16])
def test_a_table_that_lacks_entries_which_no_pixel_needs_is_used(bits: int) -> None:
    entries = np.linspace(0, 2**bits - 1, 4096).astype(np.uint16)
    found = read(ramp(), VOILUTSequence=table(entries, bits, stated=65_536))
    assert np.abs(found.pixels.astype(int) - read(ramp()).pixels).max() <= 4


def test_a_table_of_bytes_may_be_packed_and_in_either_byte_order() -> None:
    entries = np.linspace(0, 255, 4096).astype(np.uint8)
    plain = read(ramp()).pixels.astype(int)
    assert np.abs(read(ramp(), VOILUTSequence=table(entries, 8)).pixels - plain).max() <= 4
    words = np.linspace(0, 4095, 4096).astype(np.uint16)
    assert np.abs(read(ramp(), VOILUTSequence=table(words, 12, vr="US")).pixels - plain).max() <= 4


def test_a_table_may_begin_below_zero() -> None:
    signed = (ramp().astype(np.int32) - 2048).astype(np.int16)
    entries = np.linspace(0, 4095, 4096).astype(np.uint16)
    found = read(signed, VOILUTSequence=table(entries, 12, first=-2048))
    assert np.abs(found.pixels.astype(int) - read(ramp()).pixels).max() <= 4


def test_a_table_with_entries_of_more_bits_than_it_says_is_refused() -> None:
    entries = np.linspace(0, 65_535, 4096).astype(np.uint16)
    assert code_of(ramp(), VOILUTSequence=table(entries, 10)) == "unreadable_pixels"


def test_a_voi_table_without_entries_is_left_out_with_a_warning() -> None:
    found = read(ramp(), VOILUTSequence=Sequence([Dataset()]))
    assert found.pixels.std() > 60
    assert any("no table" in one for one in found.warnings)


@pytest.mark.parametrize("monochrome", ["MONOCHROME1", "MONOCHROME2"])
def test_a_slope_of_zero_is_refused(monochrome: str) -> None:
    values = {"RescaleSlope": "0", "RescaleIntercept": "0", "PhotometricInterpretation": monochrome}
    assert code_of(ramp(), **values) == "unreadable_pixels"
    assert code_of(ramp(), WindowCenter=2048, WindowWidth=4096, **values) == "unreadable_pixels"


def test_an_empty_slope_is_one() -> None:
    assert np.array_equal(read(ramp(), RescaleSlope="", RescaleIntercept="").pixels, read(ramp()).pixels)
    assert code_of(ramp(), RescaleSlope="NaN", RescaleIntercept="0") == "unreadable_pixels"


@pytest.mark.parametrize("width", [1, 2, 20])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_that_leaves_a_stencil_is_ignored_with_a_warning(width: int, function: str) -> None:
    found = read(ramp(), WindowCenter=2048, WindowWidth=width, VOILUTFunction=function)
    assert np.array_equal(found.pixels, read(ramp()).pixels)
    assert any("window" in one for one in found.warnings)


def test_pixels_in_the_higher_bits_are_those_in_the_lower_ones() -> None:
    found = read((ramp() << 4).astype(np.uint16), BitsStored=12, HighBit=15)
    assert np.array_equal(found.pixels, read(ramp()).pixels)


@pytest.mark.parametrize("stated", ["nothing", "empty values", "no items"])
def test_an_empty_modality_lut_is_none(stated: str) -> None:
    item = Dataset()
    if stated == "empty values":
        item.add_new(0x00283002, "US", [])
        item.add_new(0x00283006, "OW", b"")
    items = [] if stated == "no items" else [item]
    for rescale in ({}, {"RescaleSlope": "", "RescaleIntercept": ""}):
        found = read(ramp(), ModalityLUTSequence=Sequence(items), **rescale)
        assert np.array_equal(found.pixels, read(ramp()).pixels)
        assert ["Modality LUT" in one for one in found.warnings] == [True] * len(items)


@pytest.mark.parametrize(("slope", "intercept"), [("", "-1000"), ("1", ""), ("", ""), (None, "-1000"), ("2", None)])
def test_a_slope_or_intercept_that_is_empty_is_one_or_zero(slope: str | None, intercept: str | None) -> None:
    def with_rescale(first: str | None, second: str | None) -> np.ndarray:
        values = {"RescaleSlope": first, "RescaleIntercept": second}
        given = {keyword: value for keyword, value in values.items() if value is not None}
        return read(ramp(), WindowCenter=1000, WindowWidth=3000, **given).pixels

    assert np.array_equal(with_rescale(slope, intercept), with_rescale(slope or "1", intercept or "0"))


def test_big_endian_tables_are_read_in_their_order() -> None:
    entries = np.linspace(0, 4095, 4096).astype(np.uint16)
    instance = radiograph(ramp(), VOILUTSequence=table(entries.byteswap(), 12))
    instance.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    assert np.array_equal(Lut(instance, "VOILUTSequence").entries, entries)
