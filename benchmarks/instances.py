"""DICOM instances to send: radiographs of new studies, and the requests that carry them."""

import io
import uuid
from collections.abc import Sequence
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless, generate_uid

from app.dicom.sample import sample_dicom


def instance(**attributes: Any) -> bytes:
    """A CR of a study of its own; `attributes` replace the sample's, None removes one."""
    dataset = pydicom.dcmread(io.BytesIO(sample_dicom()))
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = (generate_uid() for _ in range(3))
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "")
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "")
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=False)
    return buffer.getvalue()


def damaged(**attributes: Any) -> bytes:
    """The same with a compressed frame that is all there and holds rubbish."""
    dataset = parsed(instance(**attributes))
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.PixelData = encapsulate([b"\xff\xd8" + b"rubbish " * 16 + b"\xff\xd9"])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def parsed(data: bytes) -> Dataset:
    """The dataset of an instance."""
    return pydicom.dcmread(io.BytesIO(data))


def multipart(parts: Sequence[bytes], content_type: str = "application/dicom") -> tuple[bytes, dict[str, str]]:
    """Body and headers of a STOW-RS request."""
    boundary = uuid.uuid4().hex
    body = b"".join(f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode() + part + b"\r\n" for part in parts)
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
    }
    return body + f"--{boundary}--\r\n".encode(), headers
