"""A radiograph for display: its full range of grey, with the window that its file asks for."""

import warnings as python_warnings

import numpy as np
from PIL import Image

from app.dicom.evidence.orientation import orientation_of
from app.dicom.values import text_of
from app.errors import CxrError, MalformedInput
from app.imaging.dicom import parse
from app.imaging.hidden import hidden_pixels, sample_of
from app.imaging.luts import modality_values
from app.imaging.pixel_module import settle
from app.imaging.pixels import grey_image
from app.imaging.raster import read_raster
from app.imaging.reader import read_radiograph
from app.imaging.sniff import sniff
from app.imaging.stored import stored_values
from app.imaging.upright import upright
from app.settings import ImagingSettings

_SIDE = 1024
_TOP = 65_535


def read_preview(data: bytes, limits: ImagingSettings) -> bytes:
    """A binary PGM (16 bits, big-endian), longer side 1,024 at most; see `POST /v1/images/preview`. Raises InputError.

    What `read_radiograph` refuses is refused here too.
    """
    read_radiograph(data, limits, _SIDE)
    if sniff(data) != "dicom":
        grey, _ = read_raster(data, limits)
        return _pgm(grey.astype(np.float32), 0.0, 255.0, 127.5, 255.0, inverse=False)
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            return _of_dicom(data, limits)
    except (CxrError, MemoryError):
        raise
    except Exception as error:  # as in read_dicom
        raise MalformedInput("The image's header and pixels do not fit together.", code="damaged_image") from error


def _of_dicom(data: bytes, limits: ImagingSettings) -> bytes:
    dataset, max_pixels = parse(data, [], limits), limits.max_pixels
    settle(dataset, [])
    turn = orientation_of(dataset).turn
    photometric = text_of(dataset, "PhotometricInterpretation") or ""
    if not photometric.startswith("MONOCHROME"):
        grey = upright(grey_image(dataset, [], max_pixels), turn)
        return _pgm(grey.astype(np.float32), 0.0, 255.0, 127.5, 255.0, inverse=False)
    stored, padding = stored_values(dataset, [])
    hidden = hidden_pixels(dataset, stored, padding, [])
    # What the image needs was checked when it was read.
    values = modality_values(dataset, stored, stored[:0]).astype(np.float32)
    low, high = (float(bound) for bound in np.percentile(sample_of(values, hidden), (0.1, 99.9)))
    try:
        center, width = (
            float(text_of(dataset, "WindowCenter") or "nan"),
            float(text_of(dataset, "WindowWidth") or "nan"),
        )
    except ValueError:
        center = width = float("nan")
    if not np.isfinite((center, width)).all() or width <= 1.0:
        center, width = (low + high) / 2.0, max(high - low, 1.0)
    low, high = min(low, center - width / 2.0), max(high, center + width / 2.0)
    inverse = photometric == "MONOCHROME1" or (text_of(dataset, "PresentationLUTShape") or "").upper() == "INVERSE"
    high = max(high, low + 1.0)
    if hidden is not None:
        values[hidden] = high if inverse else low
    return _pgm(upright(values, turn), low, high, center, width, inverse=inverse)


def _pgm(values: np.ndarray, low: float, high: float, center: float, width: float, *, inverse: bool) -> bytes:
    image = Image.fromarray(values)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    levels = np.clip((np.asarray(image) - low) * (_TOP / (high - low)), 0, _TOP).astype(">u2")
    height, columns = levels.shape
    header = f"P5\n# range {low:g} {high:g}\n# window {center:g} {width:g}\n# inverse {int(inverse)}\n"
    return f"{header}{columns} {height}\n{_TOP}\n".encode() + levels.tobytes()
