"""Stored values of an image: pixel data decoded, and its bits where the header says that they are."""

from typing import cast

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGExtended12Bit, RLELossless

from app.dicom.completeness import expected_pixel_bytes
from app.errors import MalformedInput, UnsupportedMedia
from app.imaging.bits import value_bits
from app.imaging.codestream import with_whole_scans, without_trailing_segments
from app.imaging.padding import padding_mask

_PADDED = "The JPEG 2000 data has padding where none may stand; it was left out."
_PARTIAL = "The JPEG data says that its scans are incomplete, which they are not; they were read as whole."


def stored_values(dataset: Dataset, warnings: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode; the values (rows, columns[, samples]) and which of them are padding, if any. Appends to `warnings`.

    `settle` comes first. Raises UnsupportedMedia, MalformedInput, UnusableImage.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    _check_length(dataset, syntax)
    raw = all_bits(dataset, syntax, warnings)
    raw = raw.astype(raw.dtype.newbyteorder("="), copy=False)
    if "PixelData" not in dataset or raw.dtype.kind not in "iu":
        return raw, None
    values, bits = value_bits(dataset, raw, warnings, codestream=syntax.is_encapsulated and syntax != RLELossless)
    return values, padding_mask(dataset, raw, values, bits) if values.ndim == 2 else None


def _check_length(dataset: Dataset, syntax: UID) -> None:
    """Refuse native pixel data that is too short, which is the header's fault as often. Raises MalformedInput."""
    if not syntax.is_transfer_syntax or syntax.is_encapsulated or "PixelData" not in dataset:
        return
    found, needed = len(dataset.PixelData or b""), expected_pixel_bytes(dataset)
    if found < needed:
        raise MalformedInput(
            f"The pixel data is incomplete, or the header is wrong: it has {found} bytes, the header says {needed}.",
            code="damaged_image",
        )


def all_bits(dataset: Dataset, syntax: UID, warnings: list[str]) -> np.ndarray:
    """All bits of the pixels as they are allocated: which of them are the value is found later. Appends to `warnings`.

    Raises UnsupportedMedia, MalformedInput.
    """
    bits = dataset.get("BitsStored")
    if bits is not None:
        dataset.BitsStored = dataset.BitsAllocated
    try:
        return cast(np.ndarray, dataset.pixel_array)
    except NotImplementedError as error:
        raise UnsupportedMedia(
            f"There is no decoder for the transfer syntax {syntax}.", code="unsupported_transfer_syntax"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many kinds on damaged data
        repaired = _repaired(dataset, syntax, warnings)
        if repaired is None:
            raise MalformedInput("The pixel data is damaged or incomplete.", code="damaged_image") from error
        return repaired
    finally:
        if bits is not None:
            dataset.BitsStored = bits


def _repaired(dataset: Dataset, syntax: UID, warnings: list[str]) -> np.ndarray | None:
    warning = repair(dataset, syntax)
    try:
        stored = cast(np.ndarray, dataset.pixel_array) if warning else None
    except Exception:  # the data is damaged in some other way; the caller says so
        return None
    if warning:
        warnings.append(warning)
    return stored


def repair(dataset: Dataset, syntax: UID) -> str:
    """Put the codestream of an image of one frame right where only one thing can be meant; what it was in a sentence,
    empty where nothing was to be put right.
    """
    if syntax.name.startswith("JPEG 2000"):
        mend, warning = without_trailing_segments, _PADDED
    elif syntax in (JPEGBaseline8Bit, JPEGExtended12Bit):
        mend, warning = with_whole_scans, _PARTIAL
    else:
        return ""
    try:
        codestream = mend(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    except Exception:  # as above
        return ""
    if codestream is None:
        return ""
    dataset.PixelData = encapsulate([codestream])
    return warning
