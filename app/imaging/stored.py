"""Stored values of an image: pixel data decoded, and its bits where the header says that they are."""

from typing import cast

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, RLELossless

from app.dicom.values import number_of
from app.errors import MalformedInput, UnsupportedMedia
from app.imaging.codestream import without_trailing_segments
from app.imaging.luts import unreadable

# Pixels that are enough to see whether high bits belong to them.
_ROWS = 256


def stored_values(dataset: Dataset, warnings: list[str]) -> np.ndarray:
    """Decode; appends to `warnings`. Raises UnsupportedMedia, MalformedInput, UnusableImage."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    shift = _place_bits(dataset, syntax)
    try:
        stored = cast(np.ndarray, dataset.pixel_array)
    except NotImplementedError as error:
        raise UnsupportedMedia(
            f"There is no decoder for the transfer syntax {syntax}.", code="unsupported_transfer_syntax"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many kinds on damaged data
        repaired = _repaired(dataset, syntax)
        if repaired is None:
            raise MalformedInput("The pixel data is damaged or incomplete.", code="damaged_image") from error
        warnings.append("The JPEG 2000 data has padding where none may stand; it was left out.")
        stored = repaired
    if not syntax.is_encapsulated:
        _check_high_bits(dataset, stored)
    return stored >> shift if shift else stored


def _repaired(dataset: Dataset, syntax: UID) -> np.ndarray | None:
    if not syntax.is_encapsulated or not syntax.name.startswith("JPEG 2000"):
        return None
    try:
        codestream = without_trailing_segments(next(generate_frames(dataset.PixelData, number_of_frames=1)))
        if codestream is None:
            return None
        dataset.PixelData = encapsulate([codestream])
        return cast(np.ndarray, dataset.pixel_array)
    except Exception:  # the data is damaged in some other way; the caller says so
        return None


def _place_bits(dataset: Dataset, syntax: UID) -> int:
    """How far the pixels are to be shifted: files before 2017 may keep them in higher bits (PS3.5 8.1.1).

    pydicom takes the lowest bits, so the header is changed to say that those below belong to the pixel.
    """
    stored, high, allocated = (number_of(dataset, name) for name in ("BitsStored", "HighBit", "BitsAllocated"))
    shift = high + 1 - stored
    if shift == 0 or "HighBit" not in dataset or (syntax.is_encapsulated and syntax != RLELossless):
        return 0
    if shift < 0 or high >= allocated or stored < 1:
        raise unreadable("BitsAllocated, BitsStored and HighBit do not fit together.")
    dataset.BitsStored = high + 1
    return shift


def _check_high_bits(dataset: Dataset, stored: np.ndarray) -> None:
    """Refuse pixels of more bits than BitsStored says: cut to it they wrap around. Raises UnusableImage.

    What stands above the pixel may be an overlay or rubbish as well (PS3.5 8.1.1): then cutting makes it smoother.
    """
    bits, allocated = number_of(dataset, "BitsStored"), number_of(dataset, "BitsAllocated")
    if allocated not in (8, 16) or bits >= allocated or stored.ndim != 2:
        return
    little = UID(dataset.file_meta.TransferSyntaxUID).is_little_endian
    kind = ("i" if stored.dtype.kind == "i" else "u") + str(allocated // 8)
    columns = stored.shape[1]
    raw = np.frombuffer(dataset.PixelData, ("<" if little else ">") + kind, count=stored.size).reshape(stored.shape)
    step = max(1, len(stored) // _ROWS)
    cut, whole = stored[::step, :columns].astype(np.float64), raw[::step, :columns].astype(np.float64)
    if not np.array_equal(cut, whole) and _roughness(whole) < _roughness(cut):
        raise unreadable("The pixels have more bits than BitsStored says.")


def _roughness(pixels: np.ndarray) -> float:
    """Mean step between neighbours in a row, as share of the spread."""
    return float(np.abs(np.diff(pixels, axis=1)).mean() / (pixels.std() or 1.0)) if pixels.shape[1] > 1 else 0.0
