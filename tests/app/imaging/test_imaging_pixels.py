"""From stored values to grey levels, in the standard's order."""

import numpy as np
import pytest
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from app.imaging import Radiograph, read_radiograph
from app.settings import ImagingSettings
from tests.support.radiographs import file_of, radiograph, sequence_item
from tests.support.service import gradient

LIMITS = ImagingSettings()


def read(pixels: np.ndarray, **attributes: object) -> Radiograph:
    return read_radiograph(file_of(radiograph(pixels, **attributes)), LIMITS, pixels.shape[0])


def square(depth: int = 16, side: int = 128) -> np.ndarray:
    return gradient(side, side, depth)


def test_monochrome1_is_the_inverse_of_monochrome2_after_the_window() -> None:
    window = {"WindowCenter": 20000, "WindowWidth": 10000}
    plain = read(square(), **window).pixels
    inverse = read(square(), PhotometricInterpretation="MONOCHROME1", **window).pixels
    assert np.array_equal(inverse, 255 - plain)
    assert plain[0, 0] == 0
    assert plain[-1, -1] == 255


def test_an_inverse_presentation_lut_inverts_once_even_with_monochrome1() -> None:
    plain = read(square()).pixels
    once = read(square(), PresentationLUTShape="INVERSE").pixels
    both = read(square(), PresentationLUTShape="INVERSE", PhotometricInterpretation="MONOCHROME1").pixels
    assert np.array_equal(once, 255 - plain)
    assert np.array_equal(both, once)


@pytest.mark.parametrize(
    ("function", "expected"),
    # PS3.3 C.11.2.1.2 and C.11.2.1.3, center 100, width 51, at the values 75, 100 and 125.
    [
        ("LINEAR", (2.5, 130, 255)),
        ("LINEAR_EXACT", (2.5, 127.5, 252.5)),
        ("SIGMOID", (31.5, 127.5, 223.5)),
    ],
)
def test_window_functions_follow_the_standards_formulas(function: str, expected: tuple[float, ...]) -> None:
    pixels = np.zeros((128, 128), np.uint8)
    pixels[:, 40:80], pixels[:, 80:] = 100, 125
    pixels[:, :40] = 75
    found = read(pixels, WindowCenter=100, WindowWidth=51, VOILUTFunction=function).pixels
    assert [int(found[64, column]) for column in (10, 60, 110)] == pytest.approx(expected, abs=2)


def test_the_first_of_several_windows_counts() -> None:
    one = read(square(), WindowCenter=20000, WindowWidth=10000).pixels
    several = read(square(), WindowCenter=[20000, 100], WindowWidth=[10000, 7]).pixels
    assert np.array_equal(one, several)


def test_a_window_that_shows_nothing_is_ignored_with_a_warning() -> None:
    image = read(square() // 2 + 32768, WindowCenter=100, WindowWidth=50)
    assert image.pixels.std() > 40
    assert any("window" in warning for warning in image.warnings)


def test_rescale_comes_before_the_window() -> None:
    plain = read(square(), WindowCenter=20000, WindowWidth=10000).pixels
    rescaled = read(square(), RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=39000, WindowWidth=20000).pixels
    assert np.abs(plain.astype(int) - rescaled.astype(int)).max() <= 1


def test_a_modality_lut_is_applied() -> None:
    lut = sequence_item(LUTDescriptor=[256, 0, 16], LUTData=np.arange(0, 65536, 256, np.uint16)[::-1].tobytes())
    lut.ModalityLUTType = "US"
    pixels = square(8)
    found = read(pixels, ModalityLUTSequence=Sequence([lut])).pixels
    assert found[0, 0] > 250
    assert found[-1, -1] < 5


def test_a_voi_lut_wins_over_no_window() -> None:
    data = np.repeat(np.array([0, 65535], np.uint16), 128).tobytes()
    lut = sequence_item(LUTDescriptor=[256, 0, 16], LUTData=data)
    found = read(square(8), VOILUTSequence=Sequence([lut])).pixels
    assert found[5, 5] == 0
    assert found[-5, -5] == 255


def test_padding_is_black_and_does_not_move_the_grey_range() -> None:
    plain = square(8, 128) // 2 + 60
    padded = plain.copy()
    padded[:, :30] = 255
    found = read(padded, PixelPaddingValue=255).pixels
    assert found[:, :20].max() == 0
    assert np.abs(found[:, 40:].astype(int) - read(plain).pixels[:, 40:].astype(int)).mean() < 25


def test_signed_pixels_keep_their_order() -> None:
    found = read((square().astype(np.int32) - 32768).astype(np.int16)).pixels
    assert found[0, 0] < 5
    assert found[-1, -1] > 250


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_stored_bits_fill_the_grey_range(bits: int) -> None:
    found = read(square() >> (16 - bits), BitsStored=bits, HighBit=bits - 1).pixels
    assert found.min() == 0
    assert found.max() == 255


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_lossless_syntaxes_give_the_pixels_of_the_native_one(syntax: str) -> None:
    assert np.array_equal(read(square(), syntax=syntax).pixels, read(square()).pixels)


def test_colour_becomes_luminance() -> None:
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[:, :64] = (255, 0, 0)
    pixels[:, 64:] = (0, 255, 0)
    found = read(pixels).pixels
    assert found[64, 10] == pytest.approx(76, abs=1)
    assert found[64, 120] == pytest.approx(150, abs=1)
