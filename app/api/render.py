"""A drawn radiograph as a file: PNG, JPEG, WebP or DICOM, with its provenance inside."""

import io

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from app.api.schemas.common import NOTICE
from app.api.schemas.images import OutputFormat
from app.dicom.part10 import to_bytes
from app.dicom.secondary_capture import Provenance, synthetic_capture
from app.provenance.content_credentials import Sign
from app.provenance.xmp import packet

MEDIA_TYPES: dict[str, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "dicom": "application/dicom",
}


def render(pixels: np.ndarray, output_format: OutputFormat, provenance: Provenance, sign: Sign | None = None) -> bytes:
    """Encode uint8 (H, W), grey. Every format says that the image is synthetic and which model drew it; but for DICOM,
    which has no place for it, with a signature where `sign` is given.
    """
    if output_format == "dicom":
        return to_bytes(synthetic_capture(pixels, provenance))
    data = _picture(pixels, output_format, provenance)
    return data if sign is None else sign(data, MEDIA_TYPES[output_format], provenance)


def _picture(pixels: np.ndarray, output_format: OutputFormat, provenance: Provenance) -> bytes:
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    xmp = packet(provenance, NOTICE)
    if output_format == "png":
        text = PngInfo()
        text.add_itxt("Description", provenance.sentence)
        text.add_itxt("Disclaimer", NOTICE)
        text.add_itxt("Software", provenance.model)
        text.add_itxt("XML:com.adobe.xmp", xmp)
        image.save(buffer, "PNG", pnginfo=text)
        return buffer.getvalue()
    exif = Image.Exif()
    exif[0x010E] = f"{provenance.sentence}. {NOTICE}"  # ImageDescription
    exif[0x0131] = provenance.model  # Software
    if output_format == "jpeg":
        image.save(buffer, "JPEG", quality=95, exif=exif, xmp=xmp.encode())
    else:
        image.save(buffer, "WEBP", lossless=True, exif=exif, xmp=xmp.encode())
    return buffer.getvalue()
