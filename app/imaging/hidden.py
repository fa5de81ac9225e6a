"""Pixels that are not to be seen: padding, and what lies behind the display shutter."""

import numpy as np
from pydicom.dataset import Dataset

from app.imaging.shutter import open_area

# Rows that are enough to find the grey range of an image.
_SAMPLE = 512
_BLANK = "What the display shutter in the file leaves is of one grey; it was left out."


def hidden_pixels(
    dataset: Dataset, stored: np.ndarray, padding: np.ndarray | None, warnings: list[str]
) -> np.ndarray | None:
    """Which pixels (rows, columns) are padding or lie behind the display shutter; None where none do, or where all that
    is left would be of one value. Appends to `warnings`.
    """
    rows, columns = stored.shape
    area = open_area(dataset, rows, columns, warnings)
    if area is None:
        return padding
    hidden = ~area if padding is None else padding | ~area
    if differ(stored[~hidden]):
        return hidden
    warnings.append(_BLANK)
    return padding


def differ(values: np.ndarray) -> bool:
    """Whether there are two values."""
    return values.size > 0 and bool(values.min() != values.max())


def sample_of(values: np.ndarray, hidden: np.ndarray | None) -> np.ndarray:
    """Some rows of the image that are enough to find its grey range, without what is hidden of them."""
    step = max(1, len(values) // _SAMPLE)
    if hidden is None:
        return values[::step]
    some = values[::step][~hidden[::step]]
    return some if differ(some) else values[~hidden]
