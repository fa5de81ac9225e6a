"""DICOM files made to harm what reads them, for tests and `python -m benchmarks.attacks`."""

import struct
import zlib
from typing import Literal

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

PREAMBLE = b"\0" * 128 + b"DICM"
Disguise = Literal["plain", "far", "straddle", "nopreamble", "lie", "nolength"]
"""Where a deflated file's transfer syntax is, and what is said of it: where everybody writes it; behind a long
(0002,0001); across byte 4,096; in a file without preamble; under a group length that lies; without a group length."""


def radiograph_header(**attributes: str) -> Dataset:
    """A CR's header that is stored and refused cheaply when it is read."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.1", generate_uid(), "CR"
    dataset.PatientName, dataset.PatientID = "Hostile^Input", "1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.BodyPartExamined, dataset.ViewPosition = "ABDOMEN", "PA"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def _meta(dataset: Dataset, syntax: str) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID, meta.ImplementationClassUID = syntax, "1.2.3"
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    return bytes(buffer.getvalue())


def encoded(dataset: Dataset, *, implicit: bool) -> bytes:
    """A data set's elements, little endian."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, implicit
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


def with_group_length(meta: bytes, length: int) -> bytes:
    """File Meta Information that says so of its length in (0002,0000)."""
    return meta[:8] + struct.pack("<I", length) + meta[12:]


def disguised(meta: bytes, disguise: Disguise) -> bytes:
    """The beginning of a file with this File Meta Information."""
    if disguise == "nopreamble":
        return meta
    if disguise == "lie":
        return PREAMBLE + with_group_length(meta, 0xFFFFFFF0)
    if disguise == "nolength":
        return PREAMBLE + meta[12:]
    if disguise in ("far", "straddle"):
        rest = meta[12:]  # without (0002,0000)
        tail = rest[12 + int.from_bytes(rest[8:12], "little") :]  # without (0002,0001)
        length = 5_000 if disguise == "far" else 4_096 - 168 - tail.index(DeflatedExplicitVRLittleEndian.encode()) & ~1
        rest = struct.pack("<HH2sHI", 2, 1, b"OB", 0, length) + b"\0\1" + bytes(length - 2) + tail
        meta = b"\x02\x00\x00\x00UL\x04\x00" + struct.pack("<I", len(rest)) + rest
    return PREAMBLE + meta


def deflated_bomb(megabytes: int, disguise: Disguise = "plain", header: Dataset | None = None) -> bytes:
    """A deflated instance whose pixel data is `megabytes` of zeros: about a thousandth of it."""
    dataset = header or radiograph_header()
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = bytes(1_000_000)
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, megabytes * len(block))
    body = [machine.compress(encoded(dataset, implicit=False) + pixels)]
    body += [machine.compress(block) for _ in range(megabytes)]
    return disguised(_meta(dataset, DeflatedExplicitVRLittleEndian), disguise) + b"".join((*body, machine.flush()))


def with_elements(count: int, value: bytes = b"", group: int = 0x0029, header: Dataset | None = None) -> bytes:
    """An instance in implicit VR with so many private elements before its pixel data."""
    dataset = header or radiograph_header()
    many, element = bytearray(), 0x1000
    for _ in range(count):
        many += struct.pack("<HHI", group, element, len(value)) + value
        element += 1
        if element > 0xFFFF:
            group, element = group + 2, 0x1000
    elements = encoded(dataset, implicit=True) + bytes(many)
    return (
        PREAMBLE + _meta(dataset, ImplicitVRLittleEndian) + elements + struct.pack("<HHI", 0x7FE0, 0x10, 8) + bytes(8)
    )


def nested(depth: int, *, defined: bool = False) -> bytes:
    """An instance in explicit VR with sequences in sequences, of defined or undefined lengths."""
    dataset = radiograph_header()
    inner = b""
    if defined:
        for _ in range(depth):
            item = struct.pack("<HHI", 0xFFFE, 0xE000, len(inner)) + inner
            inner = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, len(item)) + item
    else:
        opening = struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
            "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
        )
        closing = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
        inner = opening * depth + closing * depth
    return PREAMBLE + _meta(dataset, ExplicitVRLittleEndian) + encoded(dataset, implicit=False) + inner


def with_value(size: int) -> bytes:
    """An instance in explicit VR with one private value of so many bytes before its pixel data."""
    dataset = radiograph_header()
    value = struct.pack("<HH2sHI", 0x0029, 0x1000, b"OB", 0, size) + bytes(size)
    return PREAMBLE + _meta(dataset, ExplicitVRLittleEndian) + encoded(dataset, implicit=False) + value


def under_a_lie(dataset: Dataset, length: int) -> bytes:
    """An instance in explicit VR whose (0002,0000) says `length`."""
    meta = with_group_length(_meta(dataset, ExplicitVRLittleEndian), length)
    return PREAMBLE + meta + encoded(dataset, implicit=False)
