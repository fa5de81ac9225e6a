"""The header of a received file: enough to store, find and rank an instance, read in bounded memory."""

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from app.dicom.part10 import PREAMBLE
from app.dicom.status import FailureReason, WarningReason
from app.dicom.uids import is_storage_class, is_transfer_syntax, is_valid_uid

# PS3.18 Tables 10.6.3-3 to 10.6.3-5: what a search returns by default.
STUDY_KEYWORDS = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID",
    "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "StudyDescription", "TimezoneOffsetFromUTC",
)  # fmt: skip
SERIES_KEYWORDS = ("Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "BodyPartExamined")
INSTANCE_KEYWORDS = (
    "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated", "NumberOfFrames",
    "ViewPosition", "AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime",
)  # fmt: skip
_OTHERS = ("SpecificCharacterSet", "Manufacturer", "ContributingEquipmentSequence")
_TAGS = [Tag(keyword) for keyword in (*STUDY_KEYWORDS, *SERIES_KEYWORDS, *INSTANCE_KEYWORDS, *_OTHERS)]
_KEPT = [(Tag(keyword), f"{Tag(keyword):08X}") for keyword in (*STUDY_KEYWORDS, *SERIES_KEYWORDS, *INSTANCE_KEYWORDS)]
_VALUE_LIMIT = 4_096
_INFLATED_LIMIT = 1_000_000


class NotStorable(Exception):
    """The file is no instance that can be stored; `reason` and `detail` (without patient data) say why."""

    def __init__(self, reason: FailureReason, detail: str, header: "Header | None" = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.header = header


@dataclass(frozen=True)
class Header:
    """What is kept of an instance's header. `attributes` is DICOM JSON (PS3.18 F) of the keywords above.

    `prefix` are the bytes that make the received bytes a Part 10 file (PS3.10 7.1), empty where they were one.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    attributes: dict[str, Any]
    manufacturer: str
    prefix: bytes
    warning: WarningReason | None = None


def read_header(file: Path) -> Header:
    """Read the header of a received file. Raises NotStorable."""
    try:
        dataset, prefix = _parse(file)
    except NotStorable:
        raise
    except Exception as error:  # pydicom raises many kinds on what is not DICOM
        raise NotStorable(FailureReason.CANNOT_UNDERSTAND, "The part is not a DICOM instance.") from error
    header = _header(dataset, prefix)
    _check(header)
    return header


def read_source(stream: BinaryIO) -> Dataset:
    """A received header in full, without pixel data and other long values. Raises NotStorable."""
    try:
        return _dataset(stream, None)
    except Exception as error:  # as in read_header
        raise NotStorable(FailureReason.CANNOT_UNDERSTAND, "It is not a DICOM instance.") from error


def _dataset(stream: BinaryIO, tags: list[BaseTag] | None) -> Dataset:
    head = stream.read(4_096)
    stream.seek(0)
    if head[128:132] == b"DICM" and str(DeflatedExplicitVRLittleEndian).encode() in head:
        meta = read_file_meta_info(stream)
        stream.seek(0)
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            return _deflated(stream, meta, tags)
    return pydicom.dcmread(
        stream,
        stop_before_pixels=True,
        force=True,
        specific_tags=tags,
        defer_size=None if tags is None else _VALUE_LIMIT,
    )


def _parse(file: Path) -> tuple[Dataset, bytes]:
    with file.open("rb") as stream:
        head = stream.read(132)
        if len(head) < 16:
            raise NotStorable(FailureReason.CANNOT_UNDERSTAND, "The part is empty or far too short.")
        stream.seek(0)
        dataset = _dataset(stream, _TAGS)
    if head[128:132] == b"DICM":
        return dataset, b""
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    if "TransferSyntaxUID" in meta:
        return dataset, PREAMBLE  # group 2 is there; only the preamble is not
    implicit, little = dataset.original_encoding
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = (
        ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    )
    meta.MediaStorageSOPClassUID = _text(dataset, "SOPClassUID")
    meta.MediaStorageSOPInstanceUID = _text(dataset, "SOPInstanceUID")
    dataset.file_meta = meta
    buffer = DicomBytesIO()
    # Where a UID is missing the check of the header says so.
    write_file_meta_info(
        buffer,
        meta,
        enforce_standard=all(uid for uid in (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID)),
    )
    return dataset, PREAMBLE + buffer.getvalue()


def _deflated(stream: BinaryIO, meta: FileMetaDataset, tags: list[BaseTag] | None) -> Dataset:
    """The header of a deflated instance (PS3.5 A.5), inflating no more than a header needs."""
    stream.seek(len(PREAMBLE) + 12 + int(meta.FileMetaInformationGroupLength))
    plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream.read(_INFLATED_LIMIT), _INFLATED_LIMIT)
    syntax, meta.TransferSyntaxUID = meta.TransferSyntaxUID, ExplicitVRLittleEndian
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta, enforce_standard=False)
    dataset = pydicom.dcmread(
        io.BytesIO(PREAMBLE + buffer.getvalue() + plain), stop_before_pixels=True, force=True, specific_tags=tags
    )
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        return str(dataset.get(keyword) or "").strip(" \0")
    except Exception:  # a value that its VR cannot hold
        return ""


def _header(dataset: Dataset, prefix: bytes) -> Header:
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        if isinstance(element, RawDataElement) and element.value is None and element.length > _VALUE_LIMIT:
            del dataset[tag]  # deferred: no attribute that is kept here is that long
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    header_class, meta_class = _text(dataset, "SOPClassUID"), _text(meta, "MediaStorageSOPClassUID")
    return Header(
        sop_class_uid=header_class,
        sop_instance_uid=_text(dataset, "SOPInstanceUID"),
        study_instance_uid=_text(dataset, "StudyInstanceUID"),
        series_instance_uid=_text(dataset, "SeriesInstanceUID"),
        transfer_syntax_uid=_text(meta, "TransferSyntaxUID"),
        attributes=attributes_of(dataset),
        manufacturer=_text(dataset, "Manufacturer"),
        prefix=prefix,
        warning=WarningReason.COERCED
        if prefix
        else WarningReason.SOP_CLASS_MISMATCH
        if meta_class and meta_class != header_class
        else None,
    )


def attributes_of(dataset: Dataset) -> dict[str, Any]:
    """DICOM JSON of the attributes that searches use; those that cannot be converted are left out."""
    found: dict[str, Any] = {}
    for tag, name in _KEPT:
        try:
            if tag in dataset:
                found[name] = dataset[tag].to_json_dict(None, 0)
        except Exception:  # noqa: S112 (a damaged value; the others are still of use)
            continue
    return found


def _check(header: Header) -> None:
    uids = (header.sop_class_uid, header.sop_instance_uid, header.study_instance_uid, header.series_instance_uid)
    if not all(uids) or not all(map(is_valid_uid, uids)):
        known = header if all(map(is_valid_uid, uids[:2])) and all(uids[:2]) else None
        detail = "The part has no valid SOP class, SOP instance, study and series UIDs."
        raise NotStorable(FailureReason.CANNOT_UNDERSTAND, detail, known)
    if not is_storage_class(header.sop_class_uid):
        raise NotStorable(FailureReason.SOP_CLASS_NOT_SUPPORTED, "The SOP class is no storage class.", header)
    if not is_transfer_syntax(header.transfer_syntax_uid):
        raise NotStorable(FailureReason.TRANSFER_SYNTAX, "The transfer syntax is not one of the standard.", header)
