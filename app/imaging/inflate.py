"""Inflates deflated data sets (PS3.5 A.5), no more than is taken. For the confined processes alone."""

import io
import zlib
from collections.abc import Callable
from typing import BinaryIO

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian

from app.dicom.opening import Opening
from app.dicom.part10 import PREAMBLE
from app.dicom.walk import OverLimit, Read
from app.settings import ImagingSettings

_CHUNK = 1 << 20


def of_bytes(data: bytes | bytearray) -> Read:
    """Bytes as what can be read at an offset."""
    return lambda offset, size: bytes(data[offset : offset + size])


def inflated(read: Read, opening: Opening, limits: ImagingSettings) -> bytearray:
    """A deflated data set as it is once inflated. Raises OverLimit, zlib.error where it is damaged or breaks off."""
    most = limits.max_inflated_mb * 1_000_000
    plain, at = bytearray(), opening.start
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    while not machine.eof:
        chunk = machine.unconsumed_tail
        if not chunk:
            chunk = read(at, _CHUNK)
            at += len(chunk)
        more = machine.decompress(chunk, min(_CHUNK, most - len(plain) + 1))
        if not chunk and not more and not machine.eof:
            raise zlib.error("the deflated data set breaks off")
        plain += more
        if len(plain) > most:
            raise OverLimit(f"The data set is larger than {limits.max_inflated_mb} MB once inflated.")
    return plain


def data_set(read: Read, opening: Opening, limits: ImagingSettings) -> tuple[Read, int]:
    """A data set to walk, inflated where it is deflated, and where it begins. Raises as `inflated` does."""
    if not opening.deflated:
        return read, opening.start
    return of_bytes(inflated(read, opening, limits)), 0


def plain_file(
    stream: BinaryIO, read: Read, opening: Opening, limits: ImagingSettings, check: Callable[[Read, int], None]
) -> BinaryIO:
    """A file for pydicom to read: the stream itself, or a Part 10 file in memory of a data set that was deflated.

    `check` is given the data set before. Raises as `inflated` and `check` do.
    """
    if not opening.deflated:
        check(read, opening.start)
        return stream
    plain = inflated(read, opening, limits)
    check(of_bytes(plain), 0)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=False)
    return io.BytesIO(b"".join((PREAMBLE, buffer.getvalue(), plain)))
