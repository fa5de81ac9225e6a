"""DICOM pixel data to an 8-bit grey image.

The order is the standard's (PS3.4 N.2): stored values, modality LUT, VOI LUT or window, presentation (MONOCHROME1 or
an inverse presentation LUT), then 8 bits. Integer pixels go through a table of every stored value once, not through the
chain pixel by pixel. What the display shutter hides takes no part in it.
"""

from typing import cast

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut
from pydicom.uid import UID

from app.dicom.values import items_of, number_of, text_of
from app.errors import MalformedInput, UnusableImage
from app.imaging.codestream_size import check_stream
from app.imaging.hidden import differ, hidden_pixels, sample_of
from app.imaging.luts import Lut, lacks_table, modality_values, unreadable
from app.imaging.shutter import open_area
from app.imaging.stored import stored_values

_TABLE_LIMIT = 1 << 16
# Bounds of the grey range where no window is given, in percent of the pixels that are not padding.
_LOW, _HIGH = 0.5, 99.5
_STRIDE = 7
# Half a grey level of 8 bits.
_BLACK = 1.0 / 510.0
# A window that leaves less than this share of the grey range between the bounds shows nothing.
_LEAST_CONTRAST = 0.05
# ITU-R BT.601 luma, which JPEG's YBR uses as well (PS3.3 C.7.6.3.1.2).
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_PRESENTATION = "PresentationLUTSequence"
_EMPTY_MODALITY_LUT = "The Modality LUT in the file is empty; it was left out."
_EMPTY_LUT = "The VOI LUT in the file has no table; it was left out."
_IGNORED_WINDOW = "The window in the file leaves no contrast; the grey range was taken from the pixels."


def grey_image(dataset: Dataset, warnings: list[str], max_pixels: int) -> np.ndarray:
    """Decode and convert to uint8 (rows, columns), bright where the beam was absorbed; appends to `warnings`.

    `settle` comes first. Raises UnsupportedMedia, MalformedInput, UnusableImage.
    """
    check_frame(dataset, max_pixels)
    stored, padding = stored_values(dataset, warnings)
    photometric = text_of(dataset, "PhotometricInterpretation") or ""
    if stored.ndim > (2 if number_of(dataset, "SamplesPerPixel") == 1 else 3):
        raise UnusableImage("The pixel data holds more than one image; a radiograph has one.", code="multi_frame")
    if stored.dtype.kind not in "iu":
        raise UnusableImage("The pixels are floating point numbers, not a radiograph's.", code="wrong_modality")
    if photometric.startswith("MONOCHROME"):
        hidden = hidden_pixels(dataset, stored, padding, warnings)
        return _windowed(dataset, stored, hidden, photometric == "MONOCHROME1", warnings)
    grey = _luminance(_rgb(dataset, stored, photometric))
    area = open_area(dataset, grey.shape[0], grey.shape[1], warnings)
    if area is not None:
        grey[~area] = 0
    return grey


def check_frame(dataset: Dataset, max_pixels: int) -> None:
    """Refuse a compressed frame that is not of the header's size. Raises MalformedInput, UnusableImage."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_transfer_syntax or not syntax.is_encapsulated:
        return
    try:
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    except Exception as error:  # pydicom raises many kinds on damaged encapsulation
        raise MalformedInput("The pixel data is damaged or incomplete.", code="damaged_image") from error
    found = check_stream(frame, number_of(dataset, "Columns"), number_of(dataset, "Rows"), max_pixels)
    if found is None:
        return
    for held, what, keyword in (
        (found.components, "components", "SamplesPerPixel"),
        (found.bits, "bits", "BitsAllocated"),
    ):
        stated = number_of(dataset, keyword)
        if held > stated:
            raise MalformedInput(
                f"The compressed pixels have {held} {what}, {keyword} says {stated}.", code="damaged_image"
            )


def _rgb(dataset: Dataset, stored: np.ndarray, photometric: str) -> np.ndarray:
    if photometric == "PALETTE COLOR":
        try:
            return apply_color_lut(stored, dataset)
        except Exception as error:  # pydicom raises many kinds on damaged palettes
            raise unreadable("The palette of the image is missing or damaged.") from error
    return stored  # pydicom makes RGB of YBR, compressed or not


def _luminance(colour: np.ndarray) -> np.ndarray:
    """RGB of 8 or 16 bits to grey of 8."""
    grey = colour[..., :3].astype(np.float32) @ _LUMA
    if colour.dtype.itemsize > 1:
        top = float(colour.max()) or 1.0
        grey *= 255.0 / (255.0 if top <= 255.0 else float(np.iinfo(colour.dtype).max))
    return cast(np.ndarray, np.clip(np.rint(grey), 0, 255).astype(np.uint8))


def _windowed(
    dataset: Dataset, stored: np.ndarray, hidden: np.ndarray | None, monochrome1: bool, warnings: list[str]
) -> np.ndarray:
    """Grey levels of the stored values; `hidden` ones are black and have no part in the grey range."""
    shown = stored if hidden is None else stored[~hidden]
    low, high = int(stored.min()), int(stored.max())
    if not differ(shown):
        raise UnusableImage("Every pixel of the image has the same value.", code="blank_image")
    grey_range = _grey_range(dataset, sample_of(stored, hidden), warnings)
    if lacks_table(dataset, "ModalityLUTSequence"):
        warnings.append(_EMPTY_MODALITY_LUT)
    if items_of(dataset, _PRESENTATION):
        warnings += Lut(dataset, _PRESENTATION).warnings
    if high - low < _TABLE_LIMIT:
        values = np.arange(low, high + 1, dtype=np.int64)
        needed = values[int(shown.min()) - low : int(shown.max()) - low + 1]
        table = _presented(dataset, values, needed, grey_range, monochrome1)
        # The index starts at the lowest value; unsigned pixels that start at 0 index the table as they are.
        grey = table[stored if low == 0 else stored.astype(np.int64) - low]
    else:
        grey = _presented(dataset, stored, shown, grey_range, monochrome1)
    if hidden is not None:
        grey[hidden] = 0
    return grey


def _grey_range(dataset: Dataset, sample: np.ndarray, warnings: list[str]) -> tuple[float, float] | None:
    """None where the file's VOI step is to be used; otherwise the values, after the modality LUT, that become black and
    white: where the file has no such step, or one that leaves no contrast in this image.
    """
    bounds = np.rint(np.percentile(sample, (_LOW, _HIGH))).astype(np.int64)
    values = modality_values(dataset, sample, sample)
    if values.min() == values.max():
        raise unreadable("After the Modality LUT every pixel has the same value.")
    ends = modality_values(dataset, bounds, bounds)
    low, high = sorted((float(ends[0]), float(ends[1])))
    if low == high:
        low, high = float(values.min()), float(values.max())
    seen = voi_share(dataset, ends, ends, warnings)
    if seen is None:
        return low, high
    if abs(float(seen[1]) - float(seen[0])) >= _LEAST_CONTRAST and not _is_stencil(dataset, values, high - low):
        return None
    warnings.append(_IGNORED_WINDOW)
    return low, high


def _is_stencil(dataset: Dataset, values: np.ndarray, spread: float) -> bool:
    """Whether the window is so narrow that next to nothing is grey in it."""
    if _has_voi_lut(dataset):
        return False
    some = values.reshape(-1)[::_STRIDE]
    share = voi_share(dataset, some, some, [])
    if share is None or float(text_of(dataset, "WindowWidth") or "nan") >= _LEAST_CONTRAST * spread:
        return False
    return float(((share > _BLACK) & (share < 1.0 - _BLACK)).mean()) < _LEAST_CONTRAST


def _presented(
    dataset: Dataset, stored: np.ndarray, needed: np.ndarray, grey_range: tuple[float, float] | None, monochrome1: bool
) -> np.ndarray:
    """Stored values (any shape) to uint8 through modality LUT, VOI step or grey range, and presentation.

    `needed` are the values that the image has. Raises UnusableImage.
    """
    values, seen = modality_values(dataset, stored, needed), modality_values(dataset, needed, needed)
    share = None if grey_range else voi_share(dataset, values, seen, [])
    if share is None:
        low, high = grey_range or (float(seen.min()), float(seen.max()))
        share = (values.astype(np.float32) - low) / max(high - low, 1e-6)
    share = np.clip(share, 0.0, 1.0)
    inverse = monochrome1 or (text_of(dataset, "PresentationLUTShape") or "").upper() == "INVERSE"
    if items_of(dataset, _PRESENTATION):
        inverse = monochrome1
        lut = Lut(dataset, _PRESENTATION)
        steps = np.rint(share * (lut.stated - 1))
        share = lut.share(steps, steps)
    grey = np.rint(share * 255.0).astype(np.uint8)
    return 255 - grey if inverse else grey


def _has_voi_lut(dataset: Dataset) -> bool:
    items = items_of(dataset, "VOILUTSequence")
    return bool(items) and "LUTDescriptor" in items[0] and bool(items[0].get("LUTData"))


def voi_share(dataset: Dataset, values: np.ndarray, needed: np.ndarray, warnings: list[str]) -> np.ndarray | None:
    """Values after the modality LUT -> share of the output range by the first VOI LUT or window (PS3.3 C.11.2).

    `needed` are the values that the image has. None where the file has neither, or one that cannot be applied. Raises
    UnusableImage where a table lacks what the image needs.
    """
    if _has_voi_lut(dataset):
        lut = Lut(dataset, "VOILUTSequence")
        warnings += lut.warnings
        return lut.share(values, needed)
    if items_of(dataset, "VOILUTSequence"):
        warnings.append(_EMPTY_LUT)
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
