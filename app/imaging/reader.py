"""Bytes to a radiograph, in one pure function that runs inside the worker processes."""

import hashlib

import numpy as np
from PIL import Image

from app.dicom.evidence import Turn
from app.imaging.dicom import read_dicom
from app.imaging.radiograph import Radiograph
from app.imaging.raster import read_raster
from app.imaging.sniff import sniff
from app.imaging.upright import upright
from app.settings import ImagingSettings
from models.preprocessing import fit

# Cassettes are up to 1.25 times as long as wide; the model sees a square.
_MOST_UNREAD = 0.4


def read_radiograph(data: bytes, limits: ImagingSettings, size: int) -> Radiograph:
    """Decode, convert to 8-bit grey, and preprocess to (size, size). Raises InputError."""
    source = sniff(data)
    facts, turn = None, Turn()
    if source == "dicom":
        grey, turn, facts, warnings = read_dicom(data, limits)
    else:
        grey, warnings = read_raster(data, limits)
    height, width = grey.shape
    unread = 1.0 - min(grey.shape) / max(grey.shape)
    if unread > _MOST_UNREAD:
        warnings.append(f"The image is long and narrow: {unread:.0%} of it, at its ends, was not read.")
    return Radiograph(
        pixels=np.asarray(fit(Image.fromarray(upright(grey, turn)), size)),
        sha256=hashlib.sha256(data).hexdigest(),
        source=source,
        width=width,
        height=height,
        warnings=tuple(warnings),
        dicom=facts,
        turn=turn,
    )
