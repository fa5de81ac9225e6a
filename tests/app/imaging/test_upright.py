"""Images of all eight orientations of the frontal plane come out upright; other planes are refused."""

import numpy as np
import pytest

from app.errors import UnusableImage
from app.imaging import read_radiograph
from app.imaging.preview import read_preview
from app.settings import ImagingSettings
from tests.support.radiographs import file_of, radiograph

LIMITS = ImagingSettings()
_WORDS = {
    "LF": "", "RF": "mirrored", "LH": "turned by 180 degrees and mirrored", "RH": "turned by 180 degrees",
    "FR": "turned by 90 degrees clockwise", "HL": "turned by 90 degrees counterclockwise",
    "FL": "turned by 90 degrees clockwise and mirrored", "HR": "turned by 90 degrees counterclockwise and mirrored",
}  # fmt: skip


def marked() -> np.ndarray:
    """An upright image with the patient's left upper corner, at the right of the image, brightest."""
    image = np.full((160, 100), 40, np.uint8)
    image[:30, 70:] = 255  # head, left
    image[130:, 70:] = 180  # feet, left
    image[:30, :30] = 100  # head, right
    return image


def lying(rows: str, columns: str) -> np.ndarray:
    """The marked image as a device with this orientation stores it: each pixel put where the directions say."""
    upright = marked()
    height, width = upright.shape
    sideways = rows in "HF"
    stored = np.zeros((width, height) if sideways else (height, width), np.uint8)
    for row, column in np.ndindex(stored.shape):
        along = {rows: column, columns: row}
        y = along["F"] if "F" in along else height - 1 - along["H"]
        x = along["L"] if "L" in along else width - 1 - along["R"]
        stored[row, column] = upright[y, x]
    return stored


@pytest.mark.parametrize(("letters", "words"), _WORDS.items())
def test_an_image_comes_out_upright_with_a_warning_and_its_size_stays_that_received(letters: str, words: str) -> None:
    pixels = lying(*letters)
    expected = read_radiograph(file_of(radiograph(marked())), LIMITS, 128).pixels
    found = read_radiograph(file_of(radiograph(pixels, PatientOrientation=list(letters))), LIMITS, 128)
    assert np.array_equal(found.pixels, expected)
    assert (found.height, found.width) == pixels.shape
    assert list(found.warnings) == ([f"The image was {words}, as its PatientOrientation says."] if words else [])


@pytest.mark.parametrize("letters", _WORDS)
def test_a_preview_is_upright_as_well(letters: str) -> None:
    upright = read_preview(file_of(radiograph(marked())), LIMITS)
    assert read_preview(file_of(radiograph(lying(*letters), PatientOrientation=list(letters))), LIMITS) == upright


@pytest.mark.parametrize("orientation", [["A", "F"], ["P", "F"], ["F", "A"], ["A", "L"]])
def test_another_plane_is_no_frontal_view(orientation: list[str]) -> None:
    with pytest.raises(UnusableImage) as caught:
        read_radiograph(file_of(radiograph(marked(), PatientOrientation=orientation)), LIMITS, 128)
    assert caught.value.code == "not_frontal"


def test_an_orientation_that_makes_no_sense_is_a_warning() -> None:
    found = read_radiograph(file_of(radiograph(marked(), PatientOrientation=["L", "R"])), LIMITS, 128)
    assert found.warnings == ("The PatientOrientation cannot be understood; the image was taken as it lies.",)
