"""What is read of a whole DICOM instance by a confined process: the excerpt of its header, its metadata, its pixels."""

import io
import json
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID

from app.dicom.completeness import Truncated
from app.dicom.header import Excerpt, Purpose, excerpt_of
from app.dicom.opening import Opening, read_opening
from app.dicom.walk import OverLimit, Read, walk
from app.errors import CxrError, MalformedInput, TooLarge
from app.imaging import inflate, wire
from app.settings import ImagingSettings
from app.third_parties import set_up_pydicom

set_up_pydicom()

T = TypeVar("T")
# PS3.18 F.2: longer binary values are referred to. Values that are longer yet are not even read.
_INLINE_BYTES, _READ_BYTES = 1_024, 65_536


def excerpt(stream: BinaryIO, purpose: Purpose, limits: ImagingSettings) -> Excerpt:
    """What is wanted of a header. Raises MalformedInput, TooLarge."""

    def find(read: Read, opening: Opening) -> Excerpt:
        plain, start = inflate.data_set(read, opening, limits)
        return excerpt_of(plain, start, opening, purpose, limits)

    return _bounded(stream, limits, find)


def metadata(stream: BinaryIO, uri: str, limits: ImagingSettings) -> bytes:
    """An instance in DICOM JSON (PS3.18 F), with `uri` where bulk data is left out.

    Raises MalformedInput, TooLarge where it is longer than an answer may be.
    """

    def find(read: Read, opening: Opening) -> bytes:
        dataset = _parse(stream, read, opening, limits, stop_before_pixels=True, defer_size=_READ_BYTES)
        text = _json(dataset, uri).encode()
        if len(text) > wire.MOST_BYTES:
            raise OverLimit(f"The metadata is longer than {wire.MOST_BYTES // 1_000_000} MB.")
        return text

    return _bounded(stream, limits, find)


def _json(dataset: Dataset, uri: str) -> str:
    """DICOM JSON of a data set; what cannot be converted is left out.

    pydicom's own conversion of a whole data set leaves out whatever breaks its VR's rules as well, such as a UID with a
    leading zero.
    """
    found = []
    for tag in dataset.keys():  # noqa: SIM118 (iterating over the data set itself converts its elements)
        try:
            element = dataset[tag].to_json_dict(lambda _: uri, _INLINE_BYTES)
            found.append(f'"{tag:08X}": {json.dumps(element, allow_nan=False)}')
        except Exception:  # noqa: S112 (a damaged value; the others are still of use)
            continue
    return "{" + ", ".join(found) + "}"


def parse(data: bytes, limits: ImagingSettings) -> Dataset:
    """An instance with its pixels, inflated where it was deflated; its meta information keeps the stated syntax.

    Raises TooLarge, and whatever pydicom raises on a damaged file.
    """
    read = inflate.of_bytes(data)
    try:
        opening = read_opening(read, limits)
        dataset = _parse(io.BytesIO(data), read, opening, limits)
    except OverLimit as over:
        raise TooLarge(over.detail, code="over_limit") from over
    if opening.deflated:
        dataset.file_meta.TransferSyntaxUID = UID(opening.syntax)
    return dataset


def _parse(stream: BinaryIO, read: Read, opening: Opening, limits: ImagingSettings, **options: Any) -> Dataset:
    def check(plain: Read, start: int) -> None:
        walk(
            plain,
            start,
            implicit=opening.implicit,
            little=opening.little,
            limits=limits,
            wanted=lambda _tag, _size: False,
            most_bytes=0,
        )

    plain = inflate.plain_file(stream, read, opening, limits, check)
    plain.seek(0)
    return pydicom.dcmread(plain, force=True, **options)


def _bounded(stream: BinaryIO, limits: ImagingSettings, find: Callable[[Read, Opening], T]) -> T:
    def read(offset: int, size: int) -> bytes:
        stream.seek(offset)
        return stream.read(size)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return find(read, read_opening(read, limits))
    except OverLimit as over:
        raise TooLarge(over.detail, code="over_limit") from over
    except Truncated as error:
        raise MalformedInput(error.detail, code="truncated") from error
    except (CxrError, MemoryError):
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise MalformedInput("The DICOM file is damaged or incomplete.", code="damaged_image") from error
