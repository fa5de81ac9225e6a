"""PNG and JPEG bytes to a grey image."""

import io
import warnings as python_warnings

import numpy as np
from PIL import Image, ImageOps

from app.errors import InputError, MalformedInput, UnusableImage
from app.imaging.acceptance import check_size
from app.imaging.codestream_size import check_stream
from app.settings import ImagingSettings
from app.third_parties import set_up_pillow

set_up_pillow()

_ORIENTATION = 0x0112
_FULL = 65_535.0


def read_raster(data: bytes, limits: ImagingSettings) -> tuple[np.ndarray, list[str]]:
    """A grey image uint8 (rows, columns) and warnings; 16 bits are scaled from the full range of the file's values.

    Raises MalformedInput, UnusableImage.
    """
    warnings: list[str] = []
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                check_size(*image.size, limits)
                if image.format == "JPEG":
                    check_stream(data, *image.size, limits.max_pixels)
                if getattr(image, "n_frames", 1) > 1:
                    raise UnusableImage("The image is animated; a radiograph has one frame.", code="multi_frame")
                if image.getexif().get(_ORIENTATION, 1) != 1:
                    warnings.append("The image was turned as its EXIF orientation says.")
                grey = _grey(ImageOps.exif_transpose(image), warnings)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # Pillow raises many kinds on damaged files
            raise MalformedInput("The image is damaged or incomplete.", code="damaged_image") from error
    if grey.min() == grey.max():
        raise UnusableImage("Every pixel of the image has the same value.", code="blank_image")
    return grey, warnings


def _grey(image: Image.Image, warnings: list[str]) -> np.ndarray:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float32)
        # 10, 12 and 14 bit pixels are stored in 16: the range is the image's own, not the container's.
        low, high = float(values.min()), float(values.max())
        if (low, high) != (0.0, _FULL):
            warnings.append(
                f"The image has more than 8 bits and no window: its grey values from {low:g} to {high:g} were taken as "
                "black to white."
            )
        return np.rint((values - low) * (255.0 / max(high - low, 1.0))).astype(np.uint8)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return np.asarray(image.convert("L"))
