"""The pixels that make the grey range of an image: those that are not hidden."""

import numpy as np

# Rows that are enough to find the grey range of an image.
_SAMPLE = 512


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
