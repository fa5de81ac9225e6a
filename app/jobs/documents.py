"""The documents of a report: the one place that makes a `Draft`.

Of a study's job (`build`, `fhir_of`), or of an upload that is answered at once as a document (`upload_document`,
`evidence_document`); and the event for the webhook.
"""

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from app.dicom.basic_text import basic_text_report
from app.dicom.document import Draft
from app.dicom.evidence_capture import Overlay, evidence_capture
from app.dicom.fhir import diagnostic_report
from app.dicom.header import NotStorable
from app.dicom.inherited import NotWritable
from app.dicom.measurement_report import measurement_report
from app.dicom.part10 import to_bytes
from app.dicom.probabilities import Probabilities
from app.dicom.report_capture import report_capture
from app.errors import NotAcceptable, UnusableImage
from app.imaging.headers import Headers
from app.imaging.sniff import sniff
from app.inference.writing import GeneratedText
from app.settings import DocumentName
from app.store.findings import StoredFindings
from app.store.records import Job, StoredReport
from models.bundle import Bundle
from models.report_text import sections

NOT_WRITABLE = "identifier_not_writable"
DICOM, FHIR = "application/dicom", "application/fhir+json"
DOCUMENT_TYPES = (DICOM, FHIR)
_WRITERS: dict[DocumentName, Callable[[Draft], Dataset]] = {
    "basic_text": basic_text_report,
    "measurement": measurement_report,
    "capture": report_capture,
}
_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


def _draft(
    report: StoredReport,
    source: Dataset,
    warnings: Sequence[str],
    zone: datetime.tzinfo | None,
    predecessor: tuple[str, str] | None = None,
    probabilities: Probabilities | None = None,
) -> Draft:
    """The draft of a report on an image with this header, of which this was doubted and found."""
    return Draft(
        source=source,
        text=report.text,
        findings=report.findings,
        impression=report.impression,
        model=report.model,
        bundle_sha256=report.bundle_sha256,
        key=report.key,
        created=datetime.datetime.fromisoformat(report.created),
        warnings=tuple(warnings),
        predecessor=predecessor,
        zone=zone,
        probabilities=probabilities,
    )


def build(
    names: Sequence[DocumentName],
    report: StoredReport,
    header: Dataset,
    warnings: Sequence[str],
    predecessors: Mapping[str, tuple[str, str]],
    zone: datetime.tzinfo | None = None,
    probabilities: Probabilities | None = None,
) -> list[Dataset]:
    """The documents of a report on an image with this header, of which `warnings` say what was doubted; `predecessors`
    are those of a previous revision, by SOP class; `zone` is that of times where the image states none.

    Raises NotWritable.
    """
    written = []
    for name in names:
        dataset = _WRITERS[name](_draft(report, header, warnings, zone, None, probabilities))
        predecessor = predecessors.get(str(dataset.SOPClassUID))
        if predecessor is not None and name != "capture":
            dataset = _WRITERS[name](_draft(report, header, warnings, zone, predecessor, probabilities))
        written.append(dataset)
    return written


def fhir_of(job: Job, document: Path, headers: Headers, zone: datetime.tzinfo | None = None) -> bytes:
    """A study's report as FHIR DiagnosticReport; the study's attributes are those of a document that was written."""
    assert job.report is not None
    draft = _draft(job.report, headers.source(document), job.warnings, zone, None, job.findings)
    return json.dumps(diagnostic_report(draft)).encode()


def event_of(job: Job) -> dict[str, Any]:
    """What the webhook receives: identifiers, the outcome and the priority with the probabilities that it follows from;
    of the patient nothing but the study's UID.
    """
    return {
        "job": job.id,
        "study_instance_uid": job.study_uid,
        "revision": job.revision,
        "state": job.state,
        "reason": None if job.reason is None else {"code": job.reason.code, "detail": job.reason.detail},
        "documents": list(job.documents),
        "warnings": list(job.warnings),
        **_found(job.findings),
    }


def _found(findings: StoredFindings | None) -> dict[str, Any]:
    if findings is None:
        return {"priority": None, "abnormal": None, "findings": []}
    return {name: value for name, value in asdict(findings).items() if name in ("priority", "abnormal", "findings")}


def check_source(data: bytes, headers: Headers) -> None:
    """Refuse an upload that no document can refer to, before the model reads it. Raises NotAcceptable, InputError."""
    if sniff(data) != "dicom":
        raise NotAcceptable("Only what is said of a DICOM image is offered as a DICOM or FHIR document.")
    _source(data, headers)


def _source(data: bytes, headers: Headers) -> Dataset:
    """The header of an image that a document can refer to. Raises UnusableImage where it lacks its UIDs."""
    try:
        source = headers.source(data)
    except NotStorable as error:
        raise UnusableImage("The DICOM header could not be read.", code="damaged_image") from error
    if not all(headers.takes_uid(str(source.get(keyword) or "")) for keyword in _UIDS):
        raise UnusableImage("The DICOM image has no valid UIDs to refer to.", code="no_uids")
    return source


def _key(source: Dataset, bundle: Bundle, what: object, created: str) -> str:
    """What a document's UIDs follow from. Each request writes a document of its own: the time is part of it."""
    return hashlib.sha256(f"{source.SOPInstanceUID}/{bundle.sha256}/{what}/{created}".encode()).hexdigest()


def upload_document(
    media_type: str,
    data: bytes,
    text: GeneratedText,
    warnings: Sequence[str],
    bundle: Bundle,
    headers: Headers,
    zone: datetime.tzinfo | None = None,
) -> bytes:
    """A report on an upload as a document in the image's study, with what was doubted of the image.

    Raises UnusableImage where the image lacks its UIDs, or has an identifier that cannot be written.
    """
    source = _source(data, headers)
    created = datetime.datetime.now(datetime.UTC).isoformat()
    named = sections(text.text)
    report = StoredReport(
        key=_key(source, bundle, text.seed, created),
        text=text.text,
        findings=named["findings"],
        impression=named["impression"],
        finish_reason=text.finish_reason,
        seed=text.seed,
        model=bundle.manifest.label,
        bundle_sha256=bundle.sha256,
        created=created,
    )
    draft = _draft(report, source, warnings, zone)
    try:
        if media_type == DICOM:
            return to_bytes(basic_text_report(draft))
        return json.dumps(diagnostic_report(draft)).encode()
    except NotWritable as error:
        raise UnusableImage(error.detail, code=NOT_WRITABLE) from error


def evidence_document(
    data: bytes,
    overlay: Overlay,
    warnings: Sequence[str],
    bundle: Bundle,
    headers: Headers,
    zone: datetime.tzinfo | None = None,
) -> bytes:
    """A map over an upload as a Secondary Capture in the image's study. Raises UnusableImage as `upload_document`."""
    source = _source(data, headers)
    created = datetime.datetime.now(datetime.UTC).isoformat()
    report = StoredReport(
        key=_key(source, bundle, overlay.text, created),
        text=overlay.text,
        findings=None,
        impression=None,
        finish_reason="stop",
        seed=0,
        model=bundle.manifest.label,
        bundle_sha256=bundle.sha256,
        created=created,
    )
    try:
        return to_bytes(evidence_capture(_draft(report, source, warnings, zone), overlay))
    except NotWritable as error:
        raise UnusableImage(error.detail, code=NOT_WRITABLE) from error
