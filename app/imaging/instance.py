"""What is read of a whole DICOM instance by a confined process: the excerpt of its header, and its data set."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import UID

from app.dicom.completeness import end_of
from app.dicom.fragments import Truncated
from app.dicom.header import Excerpt, Purpose, excerpt_of
from app.dicom.opening import Opening, read_opening
from app.dicom.walk import OverLimit, Read, walk
from app.errors import CxrError, MalformedInput, TooLarge
from app.imaging import inflate
from app.settings import ImagingSettings
from app.third_parties import set_up_pydicom

set_up_pydicom()

T = TypeVar("T")
StopWhen = Callable[[BaseTag, str | None, int], bool]


def excerpt(stream: BinaryIO, purpose: Purpose, limits: ImagingSettings) -> Excerpt:
    """What is wanted of a header. Raises MalformedInput, TooLarge."""

    def find(read: Read, opening: Opening) -> Excerpt:
        plain, start = inflate.data_set(read, opening, limits)
        return excerpt_of(plain, start, opening, purpose, limits)

    return bounded(stream, limits, find)


def parse(data: bytes, limits: ImagingSettings) -> Dataset:
    """An instance with its pixels, inflated where it was deflated; its meta information keeps the stated syntax.

    Raises TooLarge, and whatever pydicom raises on a damaged file.
    """
    read = inflate.of_bytes(data)
    try:
        opening = read_opening(read, limits)
        dataset = whole(io.BytesIO(data), read, opening, limits)
    except OverLimit as over:
        raise TooLarge(over.detail, code="over_limit") from over
    if opening.deflated:
        dataset.file_meta.TransferSyntaxUID = UID(opening.syntax)
    return dataset


def whole(stream: BinaryIO, read: Read, opening: Opening, limits: ImagingSettings) -> Dataset:
    """A data set with all its values. Raises OverLimit, and whatever pydicom raises on a damaged file."""
    return pydicom.dcmread(_plain(stream, read, opening, limits), force=True)


def beginning(
    stream: BinaryIO, read: Read, opening: Opening, limits: ImagingSettings, stop_when: StopWhen, read_bytes: int
) -> tuple[Dataset, BinaryIO]:
    """A data set to where it is to stop, longer values left unread, and the file to read them from. Raises as above."""
    plain = _plain(stream, read, opening, limits)
    return read_partial(plain, stop_when, defer_size=read_bytes, force=True), plain


def _plain(stream: BinaryIO, read: Read, opening: Opening, limits: ImagingSettings) -> BinaryIO:
    ends: list[int | None] = []

    def check(plain: Read, start: int) -> None:
        implicit, little, syntax = opening.implicit, opening.little, opening.syntax
        found = walk(plain, start, implicit=implicit, little=little, limits=limits)
        ends.append(end_of(plain, found, syntax=syntax, implicit=implicit, little=little, limits=limits))

    plain = inflate.plain_file(stream, read, opening, limits, check)
    if ends[0] is not None and not opening.deflated:
        plain = io.BufferedReader(_Beginning(stream, ends[0]))
    plain.seek(0)
    return plain


class _Beginning(io.RawIOBase):
    """A file to a place: pydicom would take rubbish behind a data set for elements, or lose them all."""

    name = ""  # pydicom asks for it

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file, self._end = file, end

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            offset, whence = offset + self._end, io.SEEK_SET
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(max(0, min(len(buffer), self._end - self._file.tell())))
        buffer[: len(data)] = data
        return len(data)


def bounded(stream: BinaryIO, limits: ImagingSettings, find: Callable[[Read, Opening], T]) -> T:
    """What is found in a file. Raises MalformedInput where it is damaged, TooLarge, and what `find` does."""
    with _refusing():
        read = _read_of(stream)
        return find(read, read_opening(read, limits))


def bounded_pieces(
    stream: BinaryIO, limits: ImagingSettings, find: Callable[[Read, Opening], Iterator[bytes]]
) -> Iterator[bytes]:
    """As `bounded` does, piece by piece."""
    with _refusing():
        read = _read_of(stream)
        yield from find(read, read_opening(read, limits))


def _read_of(stream: BinaryIO) -> Read:
    def read(offset: int, size: int) -> bytes:
        stream.seek(offset)
        return stream.read(size)

    return read


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except OverLimit as over:
        raise TooLarge(over.detail, code="over_limit") from over
    except Truncated as error:
        raise MalformedInput(error.detail, code="truncated") from error
    except (CxrError, MemoryError):
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise MalformedInput("The DICOM file is damaged or incomplete.", code="damaged_image") from error
