"""Drafts of reports on headers as senders write them, and their documents as others read them."""

import datetime
import io
from collections.abc import Callable

import pydicom
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from app.dicom.basic_text import basic_text_report
from app.dicom.document import Draft
from app.dicom.measurement_report import measurement_report
from app.dicom.part10 import to_bytes
from app.dicom.report_capture import report_capture
from app.dicom.sample import sample_dicom
from app.imaging.headers import Headers
from app.settings import ImagingSettings

Write = Callable[[Draft], Dataset]
WRITERS: list[Write] = [basic_text_report, measurement_report, report_capture]
MOMENT = datetime.datetime(2026, 11, 26, 18, 37, 31, tzinfo=datetime.UTC)


def source(**values: str) -> Dataset:
    """The sample's header with values as a sender wrote them, read as the service reads it."""
    dataset = pydicom.dcmread(io.BytesIO(sample_dicom()))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in values.items():
        tag = Tag(keyword)
        vr = pydicom.datadict.dictionary_VR(tag)
        dataset[tag] = DataElement(tag, vr, value, validation_mode=config.IGNORE)
    return read(to_bytes(dataset))


def read(data: bytes) -> Dataset:
    headers = Headers(ImagingSettings())
    try:
        return headers.source(data)
    finally:
        headers.close()


def draft(of: Dataset, zone: datetime.tzinfo | None = None) -> Draft:
    return Draft(of, "Clear.", None, "Clear.", "model-1", "ab" * 32, "key", MOMENT, zone=zone)


def written(write: Write, of: Dataset, zone: datetime.tzinfo | None = None) -> Dataset:
    return pydicom.dcmread(io.BytesIO(to_bytes(write(draft(of, zone)))))
