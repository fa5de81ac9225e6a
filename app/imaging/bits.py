"""Which bits of a decoded pixel are its value (PS3.5 8.1.1).

Headers say it wrong in two ways: the pixel has more bits than BitsStored, or what stands above it is an overlay or
rubbish. Cut to too few bits a picture wraps around, and with an overlay in it, it jumps: the right number of bits is
the one with which neighbours differ least.
"""

from typing import cast

import numpy as np
from pydicom.dataset import Dataset

from app.dicom.values import number_of
from app.imaging.padding import is_padding

# Rows that are enough to see which bits belong to the pixels.
_ROWS = 64
_MORE = "The pixels have more bits than BitsStored says; all of them were read."
_RUBBISH = "The pixel data has bits above those of the pixels which nothing describes; they were left out."
_LOW = "HighBit says that the pixels are in the higher bits, but they are in the lowest; those were read."


def value_bits(dataset: Dataset, raw: np.ndarray, warnings: list[str], *, codestream: bool) -> tuple[np.ndarray, int]:
    """The stored values of decoded pixels, and how many bits they have; appends to `warnings`.

    The attributes of the Image Pixel Module are as `settle` leaves them.
    """
    stored, high = number_of(dataset, "BitsStored"), number_of(dataset, "HighBit")
    shift = high + 1 - stored
    described = raw & ~_overlay_bits(dataset, shift, high, raw.dtype) if _overlays(dataset) else raw
    if shift and _fits(described, stored):
        # Encoders that drop the lower bits leave the header as it was.
        if not codestream:
            warnings.append(_LOW)
        return described, stored
    top = high + 1
    if _fits(described, top):
        values = described
    else:
        values, top = _cut(described, top, warnings, is_padding(dataset, raw))
    return (values >> shift if shift else values), top - shift


def has_described_overlays(dataset: Dataset) -> bool:
    """Whether overlays are kept in the pixels."""
    return bool(_overlays(dataset))


def _overlays(dataset: Dataset) -> list[int]:
    """Bit positions of overlays that are kept in the pixels (PS3.3 C.9.2, retired)."""
    found = []
    for group in range(0x6000, 0x6020, 2):
        position = dataset.get((group, 0x0102))
        if position is None or (group, 0x3000) in dataset:
            continue
        try:
            found.append(int(position.value))
        except (TypeError, ValueError):
            continue
    return found


def _overlay_bits(dataset: Dataset, shift: int, high: int, dtype: np.dtype) -> np.ndarray:
    """The bits of overlays that are no bits of the pixel, as one pixel."""
    width = dtype.itemsize * 8
    mask = sum({1 << position for position in _overlays(dataset) if high < position < width or 0 <= position < shift})
    return np.array(mask, f"u{dtype.itemsize}").astype(dtype)


def _fits(raw: np.ndarray, bits: int) -> bool:
    if bits >= raw.dtype.itemsize * 8:
        return True
    if raw.dtype.kind == "i":
        return -(1 << (bits - 1)) <= int(raw.min()) and int(raw.max()) < 1 << (bits - 1)
    return int(raw.max()) < 1 << bits


def _cut(raw: np.ndarray, bits: int, warnings: list[str], padding: np.ndarray | None) -> tuple[np.ndarray, int]:
    """The pixels without what stands above them, and how many bits they have; padding is no evidence of that."""
    cut = _lowest(raw, bits)
    if raw.ndim != 2:
        return cut, bits
    # Signed pixels without their sign in the bits above them are what they say.
    strange = np.zeros(raw.shape, bool) if int(raw.min()) >= 0 and not int(raw.max()) >> bits else cut != raw
    if padding is not None:
        strange &= ~padding
    rows = np.flatnonzero(strange.any(axis=1))
    if not len(rows):
        return cut, bits
    rows = rows[:: max(1, len(rows) // _ROWS)]
    some, known = raw[rows], None if padding is None else ~padding[rows]
    best = min(range(bits, raw.dtype.itemsize * 8 + 1), key=lambda width: _roughness(_lowest(some, width), known))
    warnings.append(_MORE if best > bits else _RUBBISH)
    return (cut if best == bits else _lowest(raw, best)), best


def _lowest(raw: np.ndarray, bits: int) -> np.ndarray:
    spare = raw.dtype.itemsize * 8 - bits
    # An arithmetic shift to the right brings the sign back.
    return cast(np.ndarray, (raw << spare) >> spare) if spare else raw


def _roughness(pixels: np.ndarray, known: np.ndarray | None) -> float:
    """Mean step between neighbours in a row, of which both are `known`."""
    steps = np.abs(np.diff(pixels.astype(np.float64), axis=1))
    if known is not None:
        steps = steps[known[:, 1:] & known[:, :-1]]
    return float(steps.mean()) if steps.size else 0.0
