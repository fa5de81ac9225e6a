"""Where an image is padded to its size (PS3.3 C.7.5.1.1.2)."""

import numpy as np
from pydicom.dataset import Dataset

from app.dicom.values import text_of

# A grey level that so many times more pixels have than the levels beside it is no part of the picture.
_SPIKE = 16


def padding_mask(dataset: Dataset, raw: np.ndarray, values: np.ndarray, bits: int) -> np.ndarray | None:
    """Which pixels are padding, None where there are none or all would be.

    `values` are the stored values, of `bits` bits, and `raw` what they were cut from. Padding is often written with
    the other sign than the pixels have, or in more bits than they have: then its pattern of bits counts.
    """
    first = _integer(dataset, "PixelPaddingValue")
    if first is None:
        return None
    last = _integer(dataset, "PixelPaddingRangeLimit")
    bounds, signed = (first, first if last is None else last), raw.dtype.kind == "i"
    allocated = tuple(_as_pixel(bound, _container(raw), signed) for bound in bounds)
    stored = tuple(_as_pixel(bound, bits, signed) for bound in bounds)
    mask = None
    if _fit(bounds, bits, signed):
        mask = _between(values, bounds)
    elif _fit(allocated, bits, signed):
        mask = _between(values, allocated)
    elif raw is not values and _between(raw, allocated).any():
        mask = _between(raw, allocated)
    elif first == bounds[1] and _is_spike(values, stored[0]):
        mask = _between(values, stored)
    return mask if mask is not None and mask.any() and not mask.all() else None


def is_padding(dataset: Dataset, raw: np.ndarray) -> np.ndarray | None:
    """Which pixels have the padding's bits before anything is cut from them; None where no padding is stated."""
    first = _integer(dataset, "PixelPaddingValue")
    if first is None:
        return None
    return _between(raw, (_as_pixel(first, _container(raw), raw.dtype.kind == "i"),))


def _container(raw: np.ndarray) -> int:
    """The bits of a pixel that US and SS can tell."""
    return min(raw.dtype.itemsize * 8, 16)


def _integer(dataset: Dataset, keyword: str) -> int | None:
    text = text_of(dataset, keyword)
    try:
        return None if text is None else int(float(text))
    except (ValueError, OverflowError):
        return None


def _as_pixel(number: int, bits: int, signed: bool) -> int:
    """What a pixel with the lowest bits of the number has for a value."""
    pattern = number & ((1 << bits) - 1)
    return pattern - (1 << bits) if signed and pattern >> (bits - 1) else pattern


def _fit(bounds: tuple[int, ...], bits: int, signed: bool) -> bool:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    return all(low <= bound <= high for bound in bounds)


def _between(values: np.ndarray, bounds: tuple[int, ...]) -> np.ndarray:
    low, high = min(bounds), max(bounds)
    return values == low if low == high else (values >= low) & (values <= high)


def _is_spike(values: np.ndarray, level: int) -> bool:
    here, below, above = (int(np.count_nonzero(values == one)) for one in (level, level - 1, level + 1))
    return here > _SPIKE * max(below, above, 1)
