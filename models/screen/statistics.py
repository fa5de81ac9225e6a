"""Pictures that hold nothing to read, found by plain statistics of their pixels."""

import numpy as np

BLACK = "black"
SATURATED = "saturated"
UNIFORM = "uniform"
STENCIL = "stencil"
SMOOTH = "smooth"
UNREADABLE = (BLACK, SATURATED, UNIFORM, STENCIL, SMOOTH)

_DARK = 8
_BRIGHT = 247
_NEARLY_ALL = 0.985
# Grey levels between the 1st and the 99th percentile of a picture of one grey value, noise of the encoder included.
_SPREAD = 6
# The share of pixels within three grey levels of the two commonest values in a stencil or a page of print.
_TWO_VALUES = 0.97
_NEAR = 3
# Mean difference from the mean of the four neighbours, less that of rounding, as a share of the spread. The smoothest
# of 2,781 films has 0.0057.
_SMOOTHEST = 0.001
_ROUNDING = 0.25


def unreadable(pixels: np.ndarray) -> list[str | None]:
    """Why each picture, uint8 (N, H, W), cannot be read: one of `UNREADABLE`, None where nothing speaks against it."""
    return [_unreadable(picture) for picture in pixels]


def _unreadable(picture: np.ndarray) -> str | None:
    counts = np.bincount(picture.ravel(), minlength=256) / picture.size
    if counts[: _DARK + 1].sum() >= _NEARLY_ALL:
        return BLACK
    if counts[_BRIGHT:].sum() >= _NEARLY_ALL:
        return SATURATED
    low, high = np.searchsorted(np.cumsum(counts), (0.01, 0.99))
    if high - low <= _SPREAD:
        return UNIFORM
    if _two_values(counts) >= _TWO_VALUES:
        return STENCIL
    return SMOOTH if roughness(picture) < _SMOOTHEST else None


def _two_values(counts: np.ndarray) -> float:
    """The share of pixels near the commonest value and near the commonest one elsewhere."""
    near = np.convolve(counts, np.ones(2 * _NEAR + 1), "same")
    first = int(near.argmax())
    elsewhere = near.copy()
    elsewhere[max(0, first - 2 * _NEAR) : first + 2 * _NEAR + 1] = 0.0
    return float(near[first] + elsewhere.max())


def roughness(picture: np.ndarray) -> float:
    """Mean difference of pixels, uint8 (H, W), from the mean of their four neighbours, less what rounding to
    grey levels makes, over the standard deviation.
    """
    grey = picture.astype(np.float32)
    around = (grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]) / 4
    return max(0.0, float(np.abs(grey[1:-1, 1:-1] - around).mean()) - _ROUNDING) / max(float(grey.std()), 1.0)
