"""Instances in each transfer syntax that can be written."""

import io
import warnings
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from tests.support.studies import instance, parsed

WRITABLE = [
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless,
    JPEG2000Lossless,
]  # fmt: skip


def rich(**attributes: Any) -> Dataset:
    """A data set with what is easily lost: nested and private elements, odd texts, tables, numbers of each width."""
    dataset = parsed(instance(PatientName="Käse^Ä", SpecificCharacterSet="ISO_IR 100"))
    block = dataset.private_block(0x0009, "MAKER", create=True)
    block.add_new(0x01, "UN", b"\1\2\3\4")
    block.add_new(0x02, "FD", 1.5)
    block.add_new(0x03, "SQ", [Dataset()])
    inner = Dataset()
    inner.RedPaletteColorLookupTableData = b"\1\2\3\4"
    inner.CodeMeaning = "x"
    outer = Dataset()
    outer.ReferencedImageSequence = [inner, Dataset()]
    dataset.RequestAttributesSequence = [outer]
    dataset.add_new(0x00280106, "US", 7)
    dataset.add_new(0x00080008, "CS", ["ORIGINAL", "", "X"])
    dataset.add_new(0x00280009, "AT", [0x00181063, 0x00181065])
    dataset.ExposureTimeInms = 0.25
    dataset.LossyImageCompression = "01"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def written(dataset: Dataset, syntax: str) -> bytes:
    """A file of such a data set in a transfer syntax; its OW values are made big endian as pydicom does not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if syntax in (RLELossless, JPEG2000Lossless):
            dataset.compress(syntax, generate_instance_uid=False)
        elif syntax == ExplicitVRBigEndian:
            dataset["PixelData"].value = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
            inner = dataset.RequestAttributesSequence[0].ReferencedImageSequence[0]
            inner.RedPaletteColorLookupTableData = b"\2\1\4\3"
        return encoded(dataset, syntax)


def encoded(dataset: Dataset, syntax: str) -> bytes:
    """A file of a data set's values as they are, in a transfer syntax."""
    buffer = io.BytesIO()
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        buffer,
        dataset,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=True,
    )
    return buffer.getvalue()
