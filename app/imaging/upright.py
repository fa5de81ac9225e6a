"""Images are turned so that the patient stands upright in them, seen from the front."""

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from app.dicom.evidence import Turn
from app.dicom.values import texts_of
from app.imaging.luts import unreadable

# Spacing is measured: what differs by less is square.
_SQUARE = 0.02
_MOST_UNEQUAL = 4.0


def upright(pixels: np.ndarray, turn: Turn) -> np.ndarray:
    """The image (rows, columns) with rows to the patient's left and columns to the feet (PS3.3 C.7.6.1.1.1)."""
    if turn.transposed:
        pixels = pixels.T
    if turn.mirrored:
        pixels = pixels[:, ::-1]
    if turn.flipped:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def as_stored(pixels: np.ndarray, turn: Turn) -> np.ndarray:
    """What `upright` made the image of."""
    if turn.flipped:
        pixels = pixels[::-1]
    if turn.mirrored:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels.T if turn.transposed else pixels)


def with_square_pixels(pixels: np.ndarray, dataset: Dataset, warnings: list[str]) -> np.ndarray:
    """The image (rows, columns) with pixels as high as wide, by Pixel Aspect Ratio (PS3.3 C.7.6.3.1.7) or else by the
    spacing of rows and columns; appends to `warnings`. Raises UnusableImage for a ratio that no detector has.
    """
    high, wide = pixel_sides(dataset)
    if high == wide or abs(high / wide - 1.0) < _SQUARE:
        return pixels
    if not 1.0 / _MOST_UNEQUAL <= high / wide <= _MOST_UNEQUAL:
        raise unreadable("The pixels are many times as high as wide, or as wide as high.")
    warnings.append("The pixels are not square; the image was brought to the patient's proportions.")
    rows, columns = pixels.shape
    size = (round(columns * wide / high), rows) if high > wide else (columns, round(rows * high / wide))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def pixel_sides(dataset: Dataset) -> tuple[float, float]:
    """Height and width of a pixel; equal where the header does not say."""
    for keyword in ("PixelAspectRatio", "ImagerPixelSpacing", "PixelSpacing"):
        try:
            sides = [float(text) for text in texts_of(dataset, keyword)]
        except ValueError:
            continue
        if len(sides) == 2 and all(np.isfinite(side) and side > 0 for side in sides):
            return sides[0], sides[1]
    return 1.0, 1.0
