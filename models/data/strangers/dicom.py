"""First frames of DICOM test files as 8-bit grey, with the kind of picture that their headers say."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.screen.config import NOT_A_RADIOGRAPH, OTHER_RADIOGRAPH

_RADIOGRAPHS = frozenset({"CR", "DX", "RG", "MG", "IO", "PX"})
_FEWEST = 40


def decoded(file: Path) -> Iterator[tuple[np.ndarray, str]]:
    """The first frame between its 0.5th and 99.5th percentile; nothing for a file without a picture of 40 px or more.

    Raises ValueError for a file that is no DICOM or cannot be decoded.
    """
    import pydicom

    try:
        dataset = pydicom.dcmread(file, force=True)
        if "PixelData" not in dataset:
            return
        pixels = dataset.pixel_array.astype(np.float32)
    except Exception as error:
        raise ValueError(f"{file.name} cannot be decoded") from error
    if dataset.get("SamplesPerPixel", 1) == 3:
        pixels = pixels.mean(-1)
    while pixels.ndim > 2:
        pixels = pixels[0]
    if min(pixels.shape) < _FEWEST:
        return
    low, high = np.percentile(pixels, (0.5, 99.5))
    grey = np.clip((pixels - low) / max(float(high - low), 1e-6), 0, 1)
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        grey = 1 - grey
    kind = OTHER_RADIOGRAPH if dataset.get("Modality") in _RADIOGRAPHS else NOT_A_RADIOGRAPH
    yield (grey * 255).astype(np.uint8), kind
