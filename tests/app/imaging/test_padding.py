"""Padding is found whatever the sign and width in which its value is written."""

from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from app.imaging import Radiograph, read_radiograph
from app.settings import ImagingSettings
from tests.support.radiographs import ENCODED, NATIVE, altered, file_of, radiograph

LIMITS = ImagingSettings()
RAMP = np.broadcast_to(np.linspace(0, 4000, 128), (128, 128))


def padded(kind: type, lowest: int, padding: int) -> np.ndarray:
    pixels = (RAMP + lowest).astype(kind)
    pixels[:, :30] = padding
    return pixels


def read(pixels: np.ndarray, syntax: str, **attributes: Any) -> Radiograph:
    return read_radiograph(file_of(altered(radiograph(pixels, syntax=syntax), **attributes)), LIMITS, 128)


def is_found(found: Radiograph) -> bool:
    """The padding is black, and the darkest of the rest nearly so."""
    return found.pixels[:, :29].max() == 0 and found.pixels[:, 32:].min() < 8 and found.warnings == ()


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize("bits", [13, 16])
@pytest.mark.parametrize(
    ("kind", "lowest", "padding", "written"),
    [
        (np.int16, -900, -2000, ("SS", -2000)),
        (np.int16, -900, -2000, ("US", 63_536)),
        (np.uint16, 10, 8000, ("US", 8000)),
        (np.uint16, 10, 8000, ("SS", 8000)),
    ],
)
def test_padding_may_be_written_with_the_other_sign(
    syntax: str, bits: int, kind: type, lowest: int, padding: int, written: tuple[str, Any]
) -> None:
    pixels = padded(kind, lowest, padding)
    assert is_found(read(pixels, syntax, BitsStored=bits, HighBit=bits - 1, PixelPaddingValue=written))


@pytest.mark.parametrize("written", [("IS", "8000"), ("DS", "8000.0"), ("LO", "8000 "), ("UN", b"\x40\x1f")])
def test_padding_may_be_written_in_another_vr(written: tuple[str, Any]) -> None:
    assert is_found(read(padded(np.uint16, 10, 8000), ExplicitVRLittleEndian, PixelPaddingValue=written))


@pytest.mark.parametrize("syntax", ENCODED)
def test_padding_of_unsigned_pixels_may_be_written_negative(syntax: str) -> None:
    assert is_found(read(padded(np.uint16, 10, 65_535), syntax, PixelPaddingValue=("SS", -1)))
    eight = np.where(np.arange(128) < 30, 255, RAMP // 20).astype(np.uint8)
    assert is_found(read(eight, syntax, PixelPaddingValue=("SS", -1)))


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize("written", [("US", 63_536), ("SS", -2000)])
def test_padding_may_have_bits_that_the_pixels_have_not(syntax: str, written: tuple[str, Any]) -> None:
    pixels = padded(np.uint16, 0, 63_536)
    found = read(pixels, syntax, BitsStored=12, HighBit=11, PixelPaddingValue=written)
    assert is_found(found)
    # The padding's lowest 12 bits are a grey of the picture, which stays.
    assert found.pixels[:, 30 + np.flatnonzero(pixels[0, 30:] >= 2096)[0] : 127].min() > 90


@pytest.mark.parametrize("syntax", ENCODED)
def test_padding_may_be_cut_to_the_bits_of_the_pixels(syntax: str) -> None:
    pixels = padded(np.uint16, 0, -2000 & 0xFFF)
    pixels[:, 30:][pixels[:, 30:] == 2096] = 2097
    assert is_found(read(pixels, syntax, BitsStored=12, HighBit=11, PixelPaddingValue=("SS", -2000)))


def test_a_grey_of_the_picture_is_not_taken_for_padding_that_no_pixel_has() -> None:
    noise = np.random.default_rng(0).normal(0, 20, RAMP.shape)
    pixels = np.clip(RAMP + noise, 0, 4095).astype(np.uint16)
    plain = read(pixels, NATIVE[0], BitsStored=12, HighBit=11)
    found = read(pixels, NATIVE[0], BitsStored=12, HighBit=11, PixelPaddingValue=("SS", -2000))
    assert np.array_equal(found.pixels, plain.pixels)


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize(
    ("value", "limit"),
    [
        (("SS", -2000), ("SS", -1900)),
        (("US", 63_536), ("US", 63_636)),
        (("US", 63_636), ("SS", -2000)),
    ],
)
def test_a_range_of_padding_may_be_written_with_either_sign(
    syntax: str, value: tuple[str, int], limit: tuple[str, int]
) -> None:
    pixels = padded(np.int16, -900, -2000)
    pixels[:, 10:20] = -1950
    bits = {"BitsStored": 13, "HighBit": 12}
    assert is_found(read(pixels, syntax, PixelPaddingValue=value, PixelPaddingRangeLimit=limit, **bits))


@pytest.mark.parametrize("written", [("SS", -7), ("US", 60_000), ("LO", "none"), ("US", [])])
def test_padding_that_no_pixel_has_changes_nothing(written: tuple[str, Any]) -> None:
    pixels = RAMP.astype(np.uint16)
    bits = {"BitsStored": 12, "HighBit": 11}
    plain = read(pixels, NATIVE[0], **bits).pixels
    assert np.array_equal(read(pixels, NATIVE[0], PixelPaddingValue=written, **bits).pixels, plain)


def test_the_grey_range_of_a_padded_image_is_that_of_its_picture() -> None:
    picture = np.random.default_rng(1).normal(2000, 300, (300, 300)).astype(np.uint16)
    framed = np.zeros((300, 600), np.uint16)
    framed[:, :300] = picture
    plain = read_radiograph(file_of(radiograph(picture)), LIMITS, 300).pixels
    instance = radiograph(framed, PixelPaddingValue=0)
    found = read_radiograph(file_of(instance), LIMITS, 300).pixels
    assert abs(float(found[:, :140].mean()) - float(plain.mean())) < 8
