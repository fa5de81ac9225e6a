"""A report that is answered at once as a DICOM or FHIR document, for an uploaded DICOM image."""

import datetime
import hashlib
import io
import json

from pydicom.dataset import Dataset

from app.dicom.basic_text import basic_text_report
from app.dicom.draft import Draft
from app.dicom.fhir import diagnostic_report
from app.dicom.header import NotStorable, read_source
from app.dicom.secondary_capture import to_bytes
from app.dicom.uids import is_valid_uid
from app.errors import NotAcceptable, UnusableImage
from app.imaging.sniff import sniff
from app.inference.pipelines import Text
from models.bundle import Bundle
from models.report_text import sections

DOCUMENT_TYPES = ("application/dicom", "application/fhir+json")
_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


def check_source(data: bytes) -> None:
    """Refuse what no document can refer to, before the model works on it. Raises NotAcceptable, InputError."""
    if sniff(data) != "dicom":
        raise NotAcceptable("Only a report on a DICOM image is offered as a DICOM or FHIR document.")
    _source(data)


def _source(data: bytes) -> Dataset:
    """The header of an image that a document can refer to. Raises UnusableImage where it lacks its UIDs."""
    try:
        source = read_source(io.BytesIO(data))
    except NotStorable as error:
        raise UnusableImage("The DICOM header could not be read.", code="damaged_image") from error
    if not all(is_valid_uid(str(source.get(keyword) or "")) for keyword in _UIDS):
        raise UnusableImage("The DICOM image has no valid UIDs to refer to.", code="no_uids")
    return source


def document_of(media_type: str, data: bytes, text: Text, bundle: Bundle) -> bytes:
    """The report as a document in the image's study. Raises UnusableImage where the image lacks its UIDs."""
    source = _source(data)
    created = datetime.datetime.now(datetime.UTC)
    key = hashlib.sha256(f"{source.SOPInstanceUID}/{bundle.sha256}/{text.seed}/{created.isoformat()}".encode())
    named = sections(text.text)
    draft = Draft(
        source=source,
        text=text.text,
        findings=named["findings"],
        impression=named["impression"],
        model=bundle.manifest.label,
        bundle_sha256=bundle.sha256,
        key=key.hexdigest(),
        created=created,
    )
    if media_type == "application/dicom":
        return to_bytes(basic_text_report(draft))
    return json.dumps(diagnostic_report(draft)).encode()
