"""Images are turned so that the patient stands upright in them, seen from the front."""

import numpy as np

from app.dicom.evidence import Turn


def upright(pixels: np.ndarray, turn: Turn) -> np.ndarray:
    """The image (rows, columns) with rows to the patient's left and columns to the feet (PS3.3 C.7.6.1.1.1)."""
    if turn.transposed:
        pixels = pixels.T
    if turn.mirrored:
        pixels = pixels[:, ::-1]
    if turn.flipped:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
