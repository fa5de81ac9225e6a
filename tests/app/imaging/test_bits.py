"""Which bits of a pixel are its value: where the header says, or where the picture says that the header is wrong."""

from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless

from app.imaging import Radiograph, read_radiograph
from app.settings import ImagingSettings
from tests.support.radiographs import ENCODED, altered, file_of, radiograph

LIMITS = ImagingSettings()
Y, X = np.mgrid[0:128, 0:128] / 127.0
CHEST = (4095 * (0.15 + 0.8 * np.exp(-((X - 0.5) ** 2) / 0.02 - (Y - 0.5) ** 2))).astype(np.uint16)
SIGNED = CHEST.astype(np.int16) - np.int16(2048)
WINDOW = {"WindowCenter": 2000, "WindowWidth": 4000}
OVERLAY = np.where((X > 0.2) & (X < 0.4) & (Y > 0.6), 1, 0).astype(np.uint16)


def read(pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> Radiograph:
    """All bits of the pixels are encoded; `attributes` say afterwards what they are."""
    bits: dict[str, Any] = {"BitsStored": 12, "HighBit": 11, **WINDOW}
    instance = altered(radiograph(pixels, syntax=syntax), **{**bits, **attributes})
    return read_radiograph(file_of(instance), LIMITS, 128)


@pytest.fixture(scope="module")
def right() -> np.ndarray:
    return read(CHEST).pixels


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize("high", [11, 12, 13, 14, 15])
def test_pixels_in_higher_bits_are_those_in_the_lowest(syntax: str, high: int, right: np.ndarray) -> None:
    found = read((CHEST << (high - 11)).astype(np.uint16), syntax, HighBit=high)
    assert np.array_equal(found.pixels, right)
    assert found.warnings == ()


@pytest.mark.parametrize("syntax", ENCODED)
def test_signed_pixels_in_higher_bits_keep_their_sign(syntax: str, right: np.ndarray) -> None:
    found = read((SIGNED.astype(np.int32) << 4).astype(np.int16), syntax, HighBit=15, WindowCenter=2000 - 2048)
    assert np.array_equal(found.pixels, right)
    assert found.warnings == ()


@pytest.mark.parametrize("syntax", ENCODED)
def test_pixels_that_are_in_the_lowest_bits_after_all_are_not_shifted(syntax: str, right: np.ndarray) -> None:
    found = read(CHEST, syntax, HighBit=15)
    assert np.array_equal(found.pixels, right)
    assert any("HighBit" in one for one in found.warnings) is (syntax not in (JPEG2000Lossless, JPEGLSLossless))


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize("bits", [8, 9, 10, 11])
@pytest.mark.parametrize("signed", [False, True])
def test_pixels_of_more_bits_than_the_header_says_are_read_whole_with_a_warning(
    syntax: str, bits: int, signed: bool, right: np.ndarray
) -> None:
    shift = {"WindowCenter": 2000 - 2048} if signed else {}
    found = read(SIGNED if signed else CHEST, syntax, BitsStored=bits, HighBit=bits - 1, **shift)
    assert np.array_equal(found.pixels, right)
    assert ["more bits" in one for one in found.warnings] == [True]


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize("position", [12, 13, 15])
def test_an_overlay_in_the_bits_above_is_left_out_and_told_only_where_nothing_describes_it(
    syntax: str, position: int, right: np.ndarray
) -> None:
    pixels = CHEST | (OVERLAY << position).astype(np.uint16)
    plane = {"OverlayBitsAllocated": ("US", 16), "OverlayBitPosition": ("US", position)}
    described = radiograph(pixels, syntax=syntax)
    described.add_new(0x60020100, *plane["OverlayBitsAllocated"])
    described.add_new(0x60020102, *plane["OverlayBitPosition"])
    described = altered(described, BitsStored=12, HighBit=11, **WINDOW)
    found = read_radiograph(file_of(described), LIMITS, 128)
    assert np.array_equal(found.pixels, right)
    assert found.warnings == ()
    bare = read(pixels, syntax)
    assert np.array_equal(bare.pixels, right)
    assert ["nothing describes" in one for one in bare.warnings] == [True]


@pytest.mark.parametrize("syntax", ENCODED)
def test_rubbish_in_the_bits_above_is_left_out_with_a_warning(syntax: str, right: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 16, CHEST.shape).astype(np.uint16) << 12
    for rubbish in (noise, np.full_like(noise, 0x3000)):
        found = read(CHEST | rubbish, syntax)
        assert np.array_equal(found.pixels, right)
        assert ["nothing describes" in one for one in found.warnings] == [True]


@pytest.mark.parametrize("syntax", ENCODED)
def test_signed_pixels_need_not_carry_their_sign_in_the_bits_above(syntax: str, right: np.ndarray) -> None:
    found = read((SIGNED.view(np.uint16) & 0xFFF).view(np.int16), syntax, WindowCenter=2000 - 2048)
    assert np.array_equal(found.pixels, right)
    assert found.warnings == ()


@pytest.mark.parametrize("syntax", ENCODED)
def test_an_overlay_over_pixels_of_more_bits_than_stated_does_not_hide_that(syntax: str, right: np.ndarray) -> None:
    found = read(CHEST | (OVERLAY << 15).astype(np.uint16), syntax, BitsStored=10, HighBit=9)
    assert np.array_equal(found.pixels, right)
    assert found.warnings


def test_an_overlay_with_data_of_its_own_is_in_no_bit_of_the_pixels(right: np.ndarray) -> None:
    instance = altered(radiograph(CHEST), BitsStored=12, HighBit=11, **WINDOW)
    instance.add_new(0x60000100, "US", 1)
    instance.add_new(0x60000102, "US", 0)
    instance.add_new(0x60003000, "OW", bytes(128 * 128 // 8))
    assert np.array_equal(read_radiograph(file_of(instance), LIMITS, 128).pixels, right)
