"""The header of a received file: enough to store, find and rank an instance, read in bounded memory.

A file is opened and walked first, and pydicom parses nothing but the excerpt that the walk has made. What is deflated
is walked in a process of its own: see `app/imaging/headers.py`.
"""

import io
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import UID

from app.dicom.attributes import json_of
from app.dicom.completeness import Pixels, check_pixels, pixels_of
from app.dicom.evidence import stored
from app.dicom.fragments import Truncated
from app.dicom.opening import Opening
from app.dicom.part10 import PREAMBLE
from app.dicom.status import FailureReason, WarningReason
from app.dicom.uids import is_storage_class, is_transfer_syntax, is_valid_uid
from app.dicom.walk import Read, walk
from app.settings import ImagingSettings

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
_OTHERS = (
    "SpecificCharacterSet", "Manufacturer", "SamplesPerPixel", "PhotometricInterpretation", "PixelDataProviderURL",
)  # fmt: skip
_SEARCHED = (*STUDY_KEYWORDS, *SERIES_KEYWORDS, *INSTANCE_KEYWORDS)
# For the choice of a study's image; no search returns them.
_EVIDENCE = tuple(keyword for keyword in (*stored.KEYWORDS, "IssuerOfPatientID") if keyword not in _SEARCHED)
_TAGS = frozenset(int(Tag(keyword)) for keyword in (*_SEARCHED, *_EVIDENCE, *_OTHERS))
_KEPT = [(Tag(keyword), f"{Tag(keyword):08X}") for keyword in _SEARCHED]
# No attribute that is kept is longer.
_VALUE_LIMIT = 4_096
# What documents take from their source: patient, study, series, equipment and procedure, no private element.
_SOURCE_GROUPS = range(0x0008, 0x0041, 2)
_SOURCE_VALUE_LIMIT = 65_536
MOST_EXCERPT_BYTES = 262_144

Purpose = Literal["intake", "source"]
"""What a header is read for: to be stored and found, or to be the source of documents."""


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

    `prefix` are the bytes that make the received bytes a Part 10 file (PS3.10 7.1), empty where they were one. `start`
    is where the data set begins in the bytes as received. `character_set` is what was put in place of a wrong one.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    attributes: dict[str, Any]
    manufacturer: str
    prefix: bytes
    start: int = 0
    warning: WarningReason | None = None
    character_set: str | None = None


@dataclass(frozen=True)
class Excerpt:
    """The elements of a data set that are wanted, as they are encoded, and what is known of its pixel data, None where
    nobody has looked.
    """

    data: bytes
    pixels: Pixels | None = None


def excerpt_of(read: Read, start: int, opening: Opening, purpose: Purpose, limits: ImagingSettings) -> Excerpt:
    """What is wanted of a data set; `start` is where it begins in what is read.

    Raises OverLimit, and Truncated where what is to be stored is not all there.
    """
    wanted = _is_kept if purpose == "intake" else _is_of_a_source
    found = walk(
        read,
        start,
        implicit=opening.implicit,
        little=opening.little,
        limits=limits,
        wanted=wanted,
        most_bytes=MOST_EXCERPT_BYTES,
    )
    if purpose == "source":
        return Excerpt(found.excerpt)
    pixels = pixels_of(
        read, found, syntax=opening.syntax, implicit=opening.implicit, little=opening.little, limits=limits
    )
    return Excerpt(found.excerpt, pixels)


def _is_kept(tag: int, size: int) -> bool:
    return tag in _TAGS and size <= _VALUE_LIMIT


def _is_of_a_source(tag: int, size: int) -> bool:
    return tag >> 16 in _SOURCE_GROUPS and size <= _SOURCE_VALUE_LIMIT


def header_of(opening: Opening, excerpt: Excerpt, lenient_uids: bool) -> Header:
    """The header of a file that begins so and has this excerpt.

    With `lenient_uids` a UID may have leading zeros, with a warning. Raises NotStorable.
    """
    try:
        dataset = _dataset(opening, excerpt)
        header = _header(opening, dataset)
    except Exception as error:  # pydicom raises many kinds on what is not DICOM
        raise NotStorable(FailureReason.CANNOT_UNDERSTAND, "The part is not a DICOM instance.") from error
    checked = _checked(header, lenient_uids)
    try:
        if excerpt.pixels is not None:
            check_pixels(dataset, excerpt.pixels, opening.syntax)
    except Truncated as error:
        raise NotStorable(FailureReason.CANNOT_UNDERSTAND, error.detail, checked) from error
    return checked


def source_of(opening: Opening, excerpt: Excerpt) -> Dataset:
    """The header of a source of documents, with File Meta Information that states its transfer syntax.

    Raises NotStorable.
    """
    try:
        dataset = _dataset(opening, excerpt)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = UID(opening.syntax or opening.encoding)
        return dataset
    except Exception as error:  # as above
        raise NotStorable(FailureReason.CANNOT_UNDERSTAND, "It is not a DICOM instance.") from error


def _dataset(opening: Opening, excerpt: Excerpt) -> Dataset:
    return read_dataset(io.BytesIO(excerpt.data), opening.implicit, opening.little)


def _prefix(opening: Opening, dataset: Dataset) -> bytes:
    """What a file lacks to be one of Part 10."""
    if opening.prefixed:
        return b""
    if opening.syntax:
        return PREAMBLE  # group 2 is there; only the preamble is not
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(opening.encoding)
    meta.MediaStorageSOPClassUID = _text(dataset, "SOPClassUID")
    meta.MediaStorageSOPInstanceUID = _text(dataset, "SOPInstanceUID")
    buffer = DicomBytesIO()
    # Where a UID is missing the check of the header says so.
    write_file_meta_info(
        buffer,
        meta,
        enforce_standard=all(uid for uid in (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID)),
    )
    return PREAMBLE + buffer.getvalue()


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        return str(dataset.get(keyword) or "").strip(" \0")
    except Exception:  # a value that its VR cannot hold
        return ""


def _header(opening: Opening, dataset: Dataset) -> Header:
    prefix = _prefix(opening, dataset)
    header_class = _text(dataset, "SOPClassUID")
    return Header(
        sop_class_uid=header_class,
        sop_instance_uid=_text(dataset, "SOPInstanceUID"),
        study_instance_uid=_text(dataset, "StudyInstanceUID"),
        series_instance_uid=_text(dataset, "SeriesInstanceUID"),
        transfer_syntax_uid=opening.syntax or (opening.encoding if prefix else ""),
        attributes=attributes_of(dataset),
        manufacturer=_text(dataset, "Manufacturer"),
        prefix=prefix,
        start=opening.start,
        warning=WarningReason.COERCED
        if prefix
        else WarningReason.SOP_CLASS_MISMATCH
        if opening.sop_class_uid and opening.sop_class_uid != header_class
        else None,
    )


def attributes_of(dataset: Dataset) -> dict[str, Any]:
    """DICOM JSON of what searches use and what shows which image to read; what cannot be converted is left out."""
    found: dict[str, Any] = {}
    for tag, name in _KEPT:
        try:
            if tag in dataset:
                found[name] = json_of(dataset[tag])
        except Exception:  # noqa: S112 (a damaged value; the others are still of use)
            continue
    for keyword in _EVIDENCE:
        if (kept := stored.kept_of(dataset, keyword)) is not None:
            found[f"{Tag(keyword):08X}"] = kept
    return found


def _checked(header: Header, lenient_uids: bool) -> Header:
    """The header, with a warning where a UID is taken that is not valid. Raises NotStorable."""
    uids = (header.sop_class_uid, header.sop_instance_uid, header.study_instance_uid, header.series_instance_uid)
    valid = [is_valid_uid(uid, lenient_uids) for uid in uids]
    if not all(valid):
        known = header if all(valid[:2]) else None
        detail = "The part has no valid SOP class, SOP instance, study and series UIDs."
        raise NotStorable(FailureReason.CANNOT_UNDERSTAND, detail, known)
    if not is_storage_class(header.sop_class_uid):
        raise NotStorable(FailureReason.SOP_CLASS_NOT_SUPPORTED, "The SOP class is no storage class.", header)
    if not is_transfer_syntax(header.transfer_syntax_uid):
        raise NotStorable(FailureReason.TRANSFER_SYNTAX, "The transfer syntax is not one of the standard.", header)
    return header if all(map(is_valid_uid, uids)) else replace(header, warning=WarningReason.LEADING_ZERO)
