"""DICOM files in memory (PS3.10)."""

import io

from pydicom.dataset import Dataset

from app.third_parties import set_up_pydicom

set_up_pydicom()

# PS3.10 7.1: a preamble of 128 bytes, then the prefix.
PREAMBLE = b"\0" * 128 + b"DICM"


def to_bytes(dataset: Dataset) -> bytes:
    """A data set with its File Meta Information as a Part 10 file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
