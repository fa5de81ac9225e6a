"""The decoded frames of an instance of whatever kind, with the bits that a reader takes them to have."""

import contextlib
from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import iter_pixels
from pydicom.uid import UID, RLELossless

from app.dicom.values import number_of
from app.errors import CxrError
from app.imaging.bits import has_described_overlays, value_bits
from app.imaging.pixel_module import settle
from app.imaging.stored import all_bits


def whole_frames(dataset: Dataset) -> Iterator[tuple[np.ndarray, int]]:
    """Each frame (rows, columns[, samples]) and how many bits its values have, as a report would read them; colour as
    RGB. Overlays in the pixels' higher bits stay, as they are part of the instance.

    Changes the data set. Raises whatever decoders do.
    """
    # What the attributes mean is read as for a report; where they mean nothing, decoders may still take them.
    with contextlib.suppress(CxrError):
        settle(dataset, [])
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    codestream = syntax.is_encapsulated and syntax != RLELossless
    for decoded in _decoded(dataset, syntax):
        frame = decoded.astype(decoded.dtype.newbyteorder("="), copy=False)
        if frame.dtype.kind not in "iu" or has_described_overlays(dataset):
            yield frame, frame.dtype.itemsize * 8
        else:
            yield value_bits(dataset, frame, [], codestream=codestream)


def _decoded(dataset: Dataset, syntax: UID) -> Iterator[np.ndarray]:
    if number_of(dataset, "NumberOfFrames") <= 1:
        yield all_bits(dataset, syntax, [])
        return
    if "PixelData" in dataset:
        dataset.BitsStored = dataset.BitsAllocated
    yield from iter_pixels(dataset)
