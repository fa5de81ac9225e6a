"""Which lossy image is a copy of what is held, and which is another image that says that it is lossy."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from app.dicom.likeness import Likeness
from app.imaging.likeness import likeness
from tests.app.imaging.test_likeness import _BASE, meant, saved
from tests.support.studies import parsed


def drawn(change: Callable[[np.ndarray], None], base: bytes = _BASE) -> Dataset:
    """An instance with other pixels."""
    dataset = parsed(base)
    pixels = dataset.pixel_array.copy()
    change(pixels)
    dataset.PixelData = pixels.tobytes()
    return dataset


def _box(pixels: np.ndarray) -> None:
    pixels[20:60, 20:320] = 0


def _lesion(pixels: np.ndarray) -> None:
    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    blob = np.exp(-((rows - 300) ** 2 + (columns - 300) ** 2) / (2 * 20**2))
    pixels[...] = np.clip(pixels + 300 * blob, 0, 4095).astype(pixels.dtype)


def _mirrored(pixels: np.ndarray) -> None:
    pixels[...] = pixels[:, ::-1]


def _gain(pixels: np.ndarray) -> None:
    pixels[...] = pixels // 8


def _black(pixels: np.ndarray) -> None:
    pixels[...] = 0


@pytest.mark.parametrize("change", [_box, _lesion, _mirrored, _gain, _black], ids=lambda one: one.__name__)
def test_another_image_that_says_that_it_is_lossy_is_no_copy(change: Callable[[np.ndarray], None]) -> None:
    held = meant(_BASE)
    other = drawn(change)
    other.LossyImageCompression = "01"
    assert likeness(meant(saved(other)), held) is Likeness.DOUBTFUL
    # Of two lossy ones the later is a correction, and so is what is lossless.
    first = parsed(_BASE)
    first.LossyImageCompression = "01"
    assert likeness(meant(saved(other)), meant(saved(first))) is Likeness.CHANGED
    assert likeness(meant(saved(drawn(change))), meant(saved(first))) is Likeness.CHANGED


@pytest.mark.parametrize(
    "attributes",
    [
        {"PhotometricInterpretation": "MONOCHROME2"},
        {"ImageType": ["ORIGINAL", "SECONDARY"]},
        {"PixelRepresentation": 1},
        {"PatientName": "Somebody^Else"},
    ],
    ids=str,
)
def test_another_attribute_of_a_lossy_image_is_another_state(attributes: dict[str, Any]) -> None:
    held, other = parsed(_BASE), parsed(_BASE)
    for one in (held, other):
        one.LossyImageCompression = "01"
    for keyword, value in attributes.items():
        setattr(other, keyword, value)
    assert likeness(meant(saved(other)), meant(saved(held))) is Likeness.CHANGED


def test_every_frame_and_every_colour_of_a_lossy_image_counts() -> None:
    held = parsed(_BASE)
    frame = held.pixel_array
    held.NumberOfFrames, held.LossyImageCompression = 2, "01"
    held.PixelData = np.stack([frame, frame]).tobytes()
    other = copy.deepcopy(held)
    other.PixelData = np.stack([frame, frame[::-1]]).tobytes()
    assert likeness(meant(saved(other)), meant(saved(held))) is Likeness.CHANGED
    grey = (frame >> 4).astype(np.uint8)
    colour = np.stack([grey, grey // 2, grey // 4], axis=2)
    held.NumberOfFrames, held.SamplesPerPixel, held.PhotometricInterpretation = 1, 3, "RGB"
    held.PlanarConfiguration, held.BitsAllocated, held.BitsStored, held.HighBit = 0, 8, 8, 7
    held.PixelData = colour.tobytes()
    other = copy.deepcopy(held)
    other.PixelData = np.ascontiguousarray(colour[:, :, ::-1]).tobytes()
    assert likeness(meant(saved(held)), meant(saved(held))) is Likeness.SAME
    assert likeness(meant(saved(other)), meant(saved(held))) is Likeness.CHANGED


def test_an_eight_bit_copy_whose_window_was_scaled_is_a_copy() -> None:
    base = parsed(_BASE)
    base.WindowCenter, base.WindowWidth = 2048, 4096
    small = copy.deepcopy(base)
    small.PixelData = (base.pixel_array >> 4).astype(np.uint8).tobytes()
    small.BitsAllocated = small.BitsStored = 8
    small.HighBit, small.WindowCenter, small.WindowWidth = 7, 128, 256
    small.RescaleIntercept, small.RescaleSlope, small.RescaleType = 0, 1, "US"
    small.ImageType, small.LossyImageCompression = ["DERIVED", "PRIMARY"], "01"
    assert likeness(meant(saved(small)), meant(saved(base))) is Likeness.LOSSY
    small.LossyImageCompression = "00"
    assert likeness(meant(saved(small)), meant(saved(base))) is Likeness.CHANGED
