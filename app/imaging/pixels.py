"""DICOM pixel data to an 8-bit grey image.

The order is the standard's (PS3.4 N.2): stored values, modality LUT, VOI LUT or window, presentation (MONOCHROME1 or
an inverse presentation LUT), then 8 bits. Integer pixels go through a table of every stored value once, not through the
chain pixel by pixel.
"""

from typing import cast

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, convert_color_space
from pydicom.uid import UID

from app.errors import MalformedInput, UnsupportedMedia, UnusableImage
from app.imaging.acceptance import number_of, text_of
from app.imaging.codestream import without_trailing_segments
from app.imaging.codestream_size import check_stream

_TABLE_LIMIT = 1 << 16
# Bounds of the grey range where no window is given, in percent of the pixels that are not padding.
_LOW, _HIGH = 0.5, 99.5
# Rows that are enough to find those bounds.
_SAMPLE = 512
# A window that leaves less than this share of the grey range between the bounds shows nothing.
_LEAST_CONTRAST = 0.05
# ITU-R BT.601 luma, which JPEG's YBR uses as well (PS3.3 C.7.6.3.1.2).
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_IGNORED_WINDOW = "The window in the file leaves no contrast; the grey range was taken from the pixels."


def grey_image(dataset: Dataset, warnings: list[str], max_pixels: int) -> np.ndarray:
    """Decode and convert to uint8 (rows, columns), bright where the beam was absorbed; appends to `warnings`.

    Raises UnsupportedMedia, MalformedInput, UnusableImage.
    """
    check_frame(dataset, max_pixels)
    stored = _decode(dataset, warnings)
    photometric = (text_of(dataset, "PhotometricInterpretation") or "").upper()
    if photometric == "PALETTE COLOR":
        return _luminance(apply_color_lut(stored, dataset))
    if stored.ndim == 3:
        # pydicom's decoders return RGB for what they decompress; only native YBR stays as stored.
        native = not UID(dataset.file_meta.TransferSyntaxUID).is_compressed
        if native and photometric in ("YBR_FULL", "YBR_FULL_422"):
            stored = convert_color_space(stored, photometric, "RGB")
        return _luminance(stored)
    if stored.dtype.kind not in "iu":
        raise UnusableImage("The pixels are floating point numbers, not a radiograph's.", code="wrong_modality")
    return _windowed(dataset, stored, photometric == "MONOCHROME1", warnings)


def check_frame(dataset: Dataset, max_pixels: int) -> None:
    """Refuse a compressed frame that is not of the header's size. Raises MalformedInput, UnusableImage."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_transfer_syntax or not syntax.is_encapsulated:
        return
    try:
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    except Exception as error:  # pydicom raises many kinds on damaged encapsulation
        raise MalformedInput("The pixel data is damaged or incomplete.", code="damaged_image") from error
    check_stream(frame, number_of(dataset, "Columns"), number_of(dataset, "Rows"), max_pixels)


def _decode(dataset: Dataset, warnings: list[str]) -> np.ndarray:
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    try:
        return cast(np.ndarray, dataset.pixel_array)
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
        return repaired


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


def _luminance(colour: np.ndarray) -> np.ndarray:
    """RGB of 8 or 16 bits to grey of 8."""
    grey = colour[..., :3].astype(np.float32) @ _LUMA
    if colour.dtype.itemsize > 1:
        top = float(colour.max()) or 1.0
        grey *= 255.0 / (255.0 if top <= 255.0 else float(np.iinfo(colour.dtype).max))
    return cast(np.ndarray, np.clip(np.rint(grey), 0, 255).astype(np.uint8))


def _windowed(dataset: Dataset, stored: np.ndarray, monochrome1: bool, warnings: list[str]) -> np.ndarray:
    low, high = int(stored.min()), int(stored.max())
    if low == high:
        raise UnusableImage("Every pixel of the image has the same value.", code="blank_image")
    inverse = monochrome1 or (text_of(dataset, "PresentationLUTShape") or "").upper() == "INVERSE"
    padding = _padding(dataset, stored)
    shown = stored if padding is None else stored[~padding]
    bounds = np.percentile(shown[:: max(1, len(shown) // _SAMPLE)], (_LOW, _HIGH))
    if high - low < _TABLE_LIMIT:
        values = np.arange(low, high + 1, dtype=np.int32)
        table = _presented(dataset, values, bounds, inverse, warnings)
        # The index starts at the lowest value; unsigned pixels that start at 0 index the table as they are.
        grey = table[stored if low == 0 else stored.astype(np.int32) - low]
    else:
        grey = _presented(dataset, stored, bounds, inverse, warnings)
    if padding is not None:
        grey[padding] = 0
    return grey


def _padding(dataset: Dataset, stored: np.ndarray) -> np.ndarray | None:
    """Where the stored value is padding (PS3.3 C.7.5.1.1.2), None where there is none or all would be."""
    if text_of(dataset, "PixelPaddingValue") is None:
        return None
    value = number_of(dataset, "PixelPaddingValue")
    limit = (
        value if text_of(dataset, "PixelPaddingRangeLimit") is None else number_of(dataset, "PixelPaddingRangeLimit")
    )
    mask = (stored >= min(value, limit)) & (stored <= max(value, limit))
    return mask if mask.any() and not mask.all() else None


def _presented(
    dataset: Dataset, stored: np.ndarray, bounds: np.ndarray, inverse: bool, warnings: list[str]
) -> np.ndarray:
    """Stored values (any shape) to uint8 through modality LUT, VOI step and presentation.

    `bounds` are two stored values between which the image lies; they are the grey range where the file has no VOI
    step, or one that leaves no contrast between them.
    """
    values = apply_modality_lut(stored, dataset)
    ends = apply_modality_lut(np.rint(bounds).astype(np.int32), dataset)
    share = voi_share(dataset, values)
    if share is not None:
        seen = voi_share(dataset, ends)
        if seen is None or abs(float(seen[1]) - float(seen[0])) < _LEAST_CONTRAST:
            warnings.append(_IGNORED_WINDOW)
            share = None
    if share is None:
        low, high = sorted((float(ends[0]), float(ends[1])))
        share = (values.astype(np.float32) - low) / max(high - low, 1e-6)
    grey = np.rint(np.clip(share, 0.0, 1.0) * 255.0).astype(np.uint8)
    return 255 - grey if inverse else grey


def voi_share(dataset: Dataset, values: np.ndarray) -> np.ndarray | None:
    """Values after the modality LUT -> share of the output range by the first VOI LUT or window (PS3.3 C.11.2).

    None where the file has neither, or one that cannot be applied.
    """
    if dataset.get("VOILUTSequence"):
        try:
            depth = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
            return cast(np.ndarray, apply_voi(np.rint(values).astype(np.int32), dataset) / float(2**depth - 1))
        except Exception:  # a malformed LUT is no reason to refuse the pixels
            return None
    try:
        center = float(text_of(dataset, "WindowCenter") or "nan")
        width = float(text_of(dataset, "WindowWidth") or "nan")
    except ValueError:
        return None
    function = (text_of(dataset, "VOILUTFunction") or "LINEAR").upper()
    if not np.isfinite((center, width)).all() or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    x = values.astype(np.float32)
    if function == "SIGMOID":  # C.11.2.1.3.1
        return cast(np.ndarray, 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - center) / width, -80.0, 80.0))))
    if function == "LINEAR":  # C.11.2.1.2.1
        center, width = center - 0.5, max(width - 1.0, 1e-6)
    return np.clip((x - center) / width + 0.5, 0.0, 1.0)
