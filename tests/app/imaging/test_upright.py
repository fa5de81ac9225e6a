"""Images of all eight orientations of the frontal plane come out upright; other planes are refused."""

import numpy as np
import pytest

from app.dicom.evidence.orientation import orientation_of
from app.errors import UnusableImage
from app.imaging import read_radiograph
from app.imaging.preview import read_preview
from app.imaging.upright import as_stored, upright
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
    expected = read_preview(file_of(radiograph(marked())), LIMITS)
    assert read_preview(file_of(radiograph(lying(*letters), PatientOrientation=list(letters))), LIMITS) == expected


@pytest.mark.parametrize("orientation", [["A", "F"], ["P", "F"], ["F", "A"], ["A", "L"]])
def test_another_plane_is_no_frontal_view(orientation: list[str]) -> None:
    with pytest.raises(UnusableImage) as caught:
        read_radiograph(file_of(radiograph(marked(), PatientOrientation=orientation)), LIMITS, 128)
    assert caught.value.code == "not_frontal"


def test_an_orientation_that_makes_no_sense_is_a_warning() -> None:
    found = read_radiograph(file_of(radiograph(marked(), PatientOrientation=["L", "R"])), LIMITS, 128)
    assert found.warnings == ("The PatientOrientation cannot be understood; the image was taken as it lies.",)


@pytest.mark.parametrize("letters", _WORDS)
def test_what_was_turned_can_be_had_as_it_is_stored(letters: str) -> None:
    turn = orientation_of(radiograph(marked(), PatientOrientation=list(letters))).turn
    assert np.array_equal(as_stored(upright(lying(*letters), turn), turn), lying(*letters))


_UNEQUAL = [
    ({"PixelAspectRatio": [2, 1]}, slice(None, None, 2), slice(None)),
    ({"PixelAspectRatio": [1, 2]}, slice(None), slice(None, None, 2)),
    ({"ImagerPixelSpacing": [0.4, 0.2]}, slice(None, None, 2), slice(None)),
    ({"PixelSpacing": [0.1, 0.2]}, slice(None), slice(None, None, 2)),
]


@pytest.mark.parametrize(("attributes", "rows", "columns"), _UNEQUAL, ids=str)
def test_pixels_that_are_not_square_are_brought_to_the_patients_proportions(
    attributes: dict[str, object], rows: slice, columns: slice
) -> None:
    square = np.kron(marked(), np.ones((2, 2), np.uint8))
    expected = read_radiograph(file_of(radiograph(square)), LIMITS, 64).pixels.astype(int)
    found = read_radiograph(file_of(radiograph(square[rows, columns].copy(), **attributes)), LIMITS, 64)
    assert np.abs(found.pixels.astype(int) - expected).mean() < 3
    assert "not square" in found.warnings[0]


@pytest.mark.parametrize("value", [[1, 1], [0, 1], None, [1000, 1001]])
def test_a_ratio_that_says_nothing_changes_nothing(value: list[int] | None) -> None:
    attributes = {} if value is None else {"PixelAspectRatio": value}
    assert read_radiograph(file_of(radiograph(marked(), **attributes)), LIMITS, 64).warnings == ()


def test_a_ratio_of_no_detector_is_refused() -> None:
    with pytest.raises(UnusableImage):
        read_radiograph(file_of(radiograph(marked(), PixelAspectRatio=[100, 1])), LIMITS, 64)
