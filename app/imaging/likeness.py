"""Whether two files hold one instance: by its attributes, and by its pixels once they are decoded.

The files are read by a confined process (`meaning`), and what it found is compared by the service (`likeness`).
"""

import contextlib
import hashlib
from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import iter_pixels

from app.dicom.likeness import Likeness
from app.dicom.meaning import attribute_digests
from app.dicom.values import number_of, text_of
from app.errors import CxrError, MalformedInput, TooLarge
from app.imaging import wire
from app.imaging.instance import parse
from app.imaging.pixel_module import settle
from app.settings import ImagingSettings

Meaning = wire.MeaningReply
_SIDE = 32
# Of the means of 32 x 32 fields, between an image and a lossy copy of it. Radiographs of two patients are below 0.95.
_LEAST_CORRELATION = 0.99
# PS3.5 8.2: those that lose, or may. pydicom's JPEG 2000 and HTJ2K that may be either lose where the pixels differ.
_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (*range(50, 57), *range(59, 66), 81, 91, 93, 112, 203))


def meaning(data: bytes, limits: ImagingSettings) -> Meaning:
    """What an instance means. `pixels` is the digest of its decoded frames, None where they cannot be decoded, and
    `encoded` that of its pixel data as it is; `thumbnail` are the means of 32 x 32 fields of the first frame.

    Raises MalformedInput, TooLarge, MemoryError.
    """
    try:
        dataset = parse(data, limits)
        attributes, lasting = attribute_digests(dataset, little=dataset.original_encoding[1] is not False)
        pixels, thumbnail = _pixels(dataset)
        return Meaning(
            attributes=attributes,
            lasting=lasting,
            pixels=pixels,
            encoded=hashlib.sha256(_encoded(dataset)).hexdigest(),
            lossy=dataset.file_meta.get("TransferSyntaxUID") in _LOSSY
            or text_of(dataset, "LossyImageCompression") == "01",
            thumbnail=thumbnail,
        )
    except (CxrError, MemoryError, TooLarge):
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise MalformedInput("The DICOM file is damaged or incomplete.", code="damaged_image") from error


def _encoded(dataset: Dataset) -> bytes:
    for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
        if keyword in dataset:
            value = dataset[keyword].value
            return value if isinstance(value, bytes) else b""
    return b""


def _pixels(dataset: Dataset) -> tuple[str | None, list[float]]:
    """Digest of the decoded frames, each with its shape, and the first frame's thumbnail."""
    digest = hashlib.sha256()
    thumbnail: list[float] = []
    # What the attributes mean is read as for a report; where they mean nothing, decoders may still take them.
    with contextlib.suppress(CxrError):
        settle(dataset, [])
    try:
        for frame in _frames(dataset):
            if not thumbnail:
                thumbnail = _thumbnail(frame)
            digest.update(f"{frame.shape}{frame.dtype.str}".encode())
            digest.update(np.ascontiguousarray(frame).tobytes())
    except MemoryError:
        raise
    except Exception:  # no decoder, or damaged: pydicom raises many kinds
        return None, []
    return digest.hexdigest(), thumbnail


def _frames(dataset: Dataset) -> Iterator[np.ndarray]:
    """Stored values, those bits alone that belong to a pixel: codecs drop what stands above them (PS3.5 8.1.1)."""
    bits, high, allocated = (number_of(dataset, name) for name in ("BitsStored", "HighBit", "BitsAllocated"))
    mask = 2**bits - 1 if 0 < bits == high + 1 < allocated <= 32 else None
    for frame in iter_pixels(dataset, raw=True):
        if frame.dtype.kind == "f":
            yield frame.astype(f"<f{frame.dtype.itemsize}")
        else:
            values = frame.astype("<i8") if frame.dtype.itemsize > 4 else frame.astype("<i4")
            yield values if mask is None else values & mask


def _thumbnail(frame: np.ndarray) -> list[float]:
    grey = frame if frame.ndim == 2 else frame.mean(axis=2)
    rows, columns = (np.linspace(0, size, _SIDE + 1).astype(int) for size in grey.shape)
    fields = [
        float(grey[rows[y] : max(rows[y + 1], rows[y] + 1), columns[x] : max(columns[x + 1], columns[x] + 1)].mean())
        for y in range(_SIDE)
        for x in range(_SIDE)
    ]
    return fields if np.isfinite(fields).all() else []


def likeness(new: Meaning | None, held: Meaning | None) -> Likeness:
    """How a new file's instance is like that of the held one; None is one that cannot be read."""
    if new is None or (new.pixels is None and held is not None and held.pixels is not None):
        return Likeness.UNREADABLE
    if held is None:
        return Likeness.CHANGED
    decoded = None not in (new.pixels, held.pixels)
    same_pixels = new.pixels == held.pixels if decoded else new.encoded == held.encoded
    if same_pixels and new.attributes == held.attributes:
        return Likeness.SAME
    if new.lasting != held.lasting or not (new.lossy or held.lossy):
        return Likeness.CHANGED
    return Likeness.LOSSY if same_pixels or _look_alike(new.thumbnail, held.thumbnail) else Likeness.CHANGED


def _look_alike(one: list[float], other: list[float]) -> bool:
    if not one or len(one) != len(other):
        return False
    if np.ptp(one) == 0.0 or np.ptp(other) == 0.0:
        return bool(np.ptp(one) == np.ptp(other))
    return bool(np.corrcoef(one, other)[0, 1] >= _LEAST_CORRELATION)
