"""Small DICOM instances made for the tests."""

import io
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
ENCODED = (*NATIVE, RLELossless, JPEG2000Lossless, JPEGLSLossless)


def radiograph(pixels: np.ndarray, *, syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> FileDataset:
    """A CR instance around uint8 or (u)int16 pixels; `attributes` are set last, None removes one."""
    dataset = Dataset()
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.AccessionNumber = "Doe^Jane", "PATIENT-7", "ACC-9"
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "CHEST", "PA"
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored, dataset.HighBit = dataset.BitsAllocated, dataset.BitsAllocated - 1
    dataset.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    native, little = not UID(syntax).is_encapsulated, UID(syntax).is_little_endian
    dataset.PixelData = (pixels if little else pixels.byteswap()).tobytes()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax) if native else ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    instance = FileDataset("", dataset, file_meta=meta, preamble=b"\0" * 128, is_little_endian=little)
    for keyword, value in attributes.items():
        if value is None:
            delattr(instance, keyword)
        else:
            setattr(instance, keyword, value)
    if not native:
        instance.compress(syntax)
    return instance


def altered(instance: FileDataset, **attributes: Any) -> FileDataset:
    """The instance with other attributes than it was encoded with; None removes one, a pair is a VR and a value."""
    for keyword, value in attributes.items():
        if value is None:
            delattr(instance, keyword)
        elif isinstance(value, tuple):
            instance.add_new(keyword, *value)
        else:
            setattr(instance, keyword, value)
    return instance


def file_of(instance: Dataset) -> bytes:
    """A Part 10 file in memory."""
    buffer = io.BytesIO()
    instance.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def sequence_item(**attributes: Any) -> Dataset:
    """A data set with these attributes."""
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
