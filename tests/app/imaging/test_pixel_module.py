"""Attributes of the Image Pixel Module that are missing or wrong: a right picture, or a refusal that names them."""

import io
import struct
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from app.errors import CxrError
from app.imaging import Radiograph, read_radiograph
from app.imaging.preview import read_preview
from app.settings import ImagingSettings
from tests.support.radiographs import ENCODED, NATIVE, altered, file_of, radiograph

LIMITS = ImagingSettings()
RAMP = np.broadcast_to(np.linspace(0, 4095, 128), (128, 128)).astype(np.uint16)


def made(syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    return file_of(altered(radiograph(RAMP, syntax=syntax, BitsStored=12, HighBit=11), **attributes))


def read(syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> Radiograph:
    return read_radiograph(made(syntax, **attributes), LIMITS, 128)


def refusal(syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> CxrError:
    with pytest.raises(CxrError) as caught:
        read(syntax, **attributes)
    return caught.value


@pytest.fixture(scope="module")
def right() -> np.ndarray:
    return read().pixels


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize(
    "attributes",
    [
        {"PhotometricInterpretation": "monochrome2"},
        {"PhotometricInterpretation": " Monochrome2 "},
        {"PhotometricInterpretation": "MONOCHROME 2"},
        {"SamplesPerPixel": None},
        {"SamplesPerPixel": 0},
        {"NumberOfFrames": 0},
        {"NumberOfFrames": ""},
        {"HighBit": None},
        {"SmallestImagePixelValue": ("SS", -5), "LargestImagePixelValue": ("SS", -1)},
        {"RescaleSlope": "", "RescaleIntercept": ""},
    ],
)
def test_attributes_that_can_be_meant_in_one_way_only_are_read_without_a_word(
    syntax: str, attributes: dict[str, Any], right: np.ndarray
) -> None:
    found = read(syntax, **attributes)
    assert np.array_equal(found.pixels, right)
    assert found.warnings == ()


@pytest.mark.parametrize("syntax", [one for one in ENCODED if one != ImplicitVRLittleEndian])
@pytest.mark.parametrize(
    "attributes",
    [
        {"SamplesPerPixel": ("IS", "1")},
        {"BitsAllocated": ("IS", "16"), "BitsStored": ("IS", "12"), "HighBit": ("DS", "11.0")},
        {"Rows": ("LO", "128 "), "Columns": ("DS", "128")},
        {"NumberOfFrames": ("LO", "abc")},
        {"PixelRepresentation": ("CS", "0")},
    ],
)
def test_numbers_in_another_vr_are_those_numbers(syntax: str, attributes: dict[str, Any], right: np.ndarray) -> None:
    found = read(syntax, **attributes)
    assert np.array_equal(found.pixels, right)
    assert found.warnings == ()


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"PhotometricInterpretation": ""}, "PhotometricInterpretation"),
        ({"PhotometricInterpretation": None}, "PhotometricInterpretation"),
        ({"PhotometricInterpretation": None, "SamplesPerPixel": None}, "PhotometricInterpretation"),
        ({"PhotometricInterpretation": "RGB"}, "PhotometricInterpretation"),
        ({"BitsStored": None}, "BitsStored"),
        ({"BitsStored": None, "HighBit": None}, "BitsStored"),
        ({"HighBit": 5}, "HighBit"),
        ({"HighBit": 16}, "HighBit"),
        ({"BitsStored": 16}, "HighBit"),
        ({"PixelRepresentation": None}, "PixelRepresentation"),
        ({"PixelRepresentation": 7}, "PixelRepresentation"),
    ],
)
def test_what_is_assumed_is_a_warning(syntax: str, attributes: dict[str, Any], named: str, right: np.ndarray) -> None:
    found = read(syntax, **attributes)
    assert np.array_equal(found.pixels, right)
    assert [named in one and one.endswith(".") for one in found.warnings] == [True]


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"PhotometricInterpretation": "WEIRD"}, "PhotometricInterpretation"),
        ({"PhotometricInterpretation": "CMYK"}, "CMYK"),
        ({"PhotometricInterpretation": "", "SamplesPerPixel": 3}, "PhotometricInterpretation"),
        ({"SamplesPerPixel": 3}, "SamplesPerPixel"),
        ({"SamplesPerPixel": 4}, "4 samples"),
        ({"BitsAllocated": 12}, "BitsAllocated"),
        ({"BitsAllocated": 1}, "one bit"),
        ({"BitsAllocated": 8}, "BitsStored"),
        ({"BitsStored": 17}, "BitsStored"),
    ],
)
def test_what_cannot_be_meant_is_named(syntax: str, attributes: dict[str, Any], named: str) -> None:
    error = refusal(syntax, **attributes)
    assert error.code == "unreadable_pixels"
    assert named in error.detail
    assert "damaged" not in error.detail


def test_monochrome1_in_any_spelling_is_inverted(right: np.ndarray) -> None:
    for spelling in ("MONOCHROME1", "monochrome1 ", "Monochrome 1"):
        assert np.array_equal(read(PhotometricInterpretation=spelling).pixels, 255 - right)


@pytest.mark.parametrize("syntax", NATIVE)
def test_colours_in_any_spelling_are_luminance(syntax: str) -> None:
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[:, :64, 0] = 255
    plain = read_radiograph(file_of(radiograph(pixels, syntax=syntax)), LIMITS, 128)
    for attributes in ({"PhotometricInterpretation": "rgb"}, {"SamplesPerPixel": None}):
        found = read_radiograph(file_of(altered(radiograph(pixels, syntax=syntax), **attributes)), LIMITS, 128)
        assert np.array_equal(found.pixels, plain.pixels)
        assert found.warnings == ()


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("name", ["YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "HSV"])
def test_colours_that_are_not_read_are_named(syntax: str, name: str) -> None:
    instance = altered(radiograph(np.zeros((128, 128, 3), np.uint8), syntax=syntax), PhotometricInterpretation=name)
    with pytest.raises(CxrError, match=name):
        read_radiograph(file_of(instance), LIMITS, 128)


def test_a_palette_that_is_missing_is_named() -> None:
    assert "palette" in refusal(PhotometricInterpretation="PALETTE_COLOR").detail


@pytest.mark.parametrize("syntax", NATIVE)
def test_pixel_data_that_is_shorter_than_the_header_says_names_both(syntax: str) -> None:
    error = refusal(syntax, BitsAllocated=32)
    assert error.code == "damaged_image"
    assert "32768" in error.detail
    assert "65536" in error.detail


def test_a_codestream_of_more_than_the_header_says_is_named() -> None:
    error = refusal(JPEG2000Lossless, BitsAllocated=8, BitsStored=8, HighBit=7)
    assert "12 bits" in error.detail
    colour = radiograph(np.zeros((128, 128, 3), np.uint8), syntax=JPEG2000Lossless)
    colour = altered(colour, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2")
    with pytest.raises(CxrError, match="3 components"):
        read_radiograph(file_of(colour), LIMITS, 128)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint32, np.int32, np.uint64, np.int64])
def test_pixels_of_every_width_are_read(kind: type, right: np.ndarray) -> None:
    wide = np.dtype(kind).itemsize > 2
    pixels = (RAMP.astype(np.int64) << 19 if wide else RAMP >> 5).astype(kind)
    found = read_radiograph(file_of(radiograph(pixels)), LIMITS, 128)
    assert np.abs(found.pixels.astype(int) - right).max() <= (2 if wide else 4)
    assert found.warnings == ()


@pytest.mark.parametrize("syntax", ENCODED)
def test_a_preview_assumes_what_a_report_does(syntax: str) -> None:
    plain = read_preview(made(syntax), LIMITS)
    assert read_preview(made(syntax, PhotometricInterpretation=" monochrome2"), LIMITS) == plain
    assert read_preview(made(syntax, PhotometricInterpretation=None, BitsStored=None), LIMITS) == plain


@given(
    syntax=st.sampled_from(ENCODED),
    numbers=st.fixed_dictionaries(
        {},
        optional={
            keyword: st.sampled_from([None, 0, 1, 2, 3, 7, 8, 10, 11, 12, 15, 16, 17, 32, 33, 64, 65_535])
            for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel")
        },
    ),
    name=st.sampled_from(["MONOCHROME1", "monochrome2", "RGB", "PALETTE COLOR", "YBR_FULL_422", "", "X"]),
)
@settings(max_examples=150, deadline=None)
def test_no_mixture_of_attributes_ends_without_a_picture_or_a_reason(
    syntax: str, numbers: dict[str, int | None], name: str
) -> None:
    instance = altered(radiograph(RAMP, syntax=syntax, BitsStored=12, HighBit=11), PhotometricInterpretation=name)
    allocated = numbers.pop("BitsAllocated", 16)
    data = file_of(altered(instance, **numbers))
    if allocated is not None and syntax == ExplicitVRLittleEndian:
        data = data.replace(struct.pack("<HH2sHH", 0x28, 0x100, b"US", 2, 16), _us(0x100, allocated))
    try:
        read_radiograph(data, LIMITS, 128)
    except CxrError as error:
        assert error.detail != "The image's header and pixels do not fit together."


def _us(element: int, value: int) -> bytes:
    return struct.pack("<HH2sHH", 0x28, element, b"US", 2, value)


def test_padding_is_found_where_the_sign_of_the_pixels_is_missing() -> None:
    pixels = RAMP.copy()
    pixels[:, 100:] = 65_000
    for syntax in NATIVE:
        whole = radiograph(pixels, syntax=syntax)
        found = read_radiograph(file_of(altered(whole, PixelPaddingValue=("US", 65_000))), LIMITS, 128)
        data = file_of(altered(whole, PixelRepresentation=None))
        assert found.pixels[:, 101:].max() == 0
        assert np.array_equal(read_radiograph(data, LIMITS, 128).pixels, found.pixels)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.100", "1.3.46.670589.33.1.4.1"])
def test_a_syntax_without_a_decoder_is_named(syntax: str) -> None:
    instance = pydicom.dcmread(io.BytesIO(made()))
    instance.file_meta.TransferSyntaxUID = UID(syntax)
    instance.PixelData = encapsulate([instance.PixelData])
    instance["PixelData"].VR = "OB"
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, instance, implicit_vr=False, little_endian=True)
    with pytest.raises(CxrError) as caught:
        read_radiograph(buffer.getvalue(), LIMITS, 128)
    assert caught.value.code == "unsupported_transfer_syntax"
