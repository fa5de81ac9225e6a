"""What is written of a report: the configured DICOM documents, and the event for the webhook."""

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from app.dicom.basic_text import basic_text_report
from app.dicom.draft import Draft
from app.dicom.fhir import diagnostic_report
from app.dicom.header import read_source
from app.dicom.measurement_report import measurement_report
from app.dicom.report_capture import report_capture
from app.settings import DocumentName
from app.store.jobs import Job

_WRITERS: dict[DocumentName, Callable[[Draft], Dataset]] = {
    "basic_text": basic_text_report,
    "measurement": measurement_report,
    "capture": report_capture,
}


def draft_of(report: Mapping[str, Any], source: Dataset, predecessor: tuple[str, str] | None = None) -> Draft:
    """The draft of a recorded report on an image with this header."""
    return Draft(
        source=source,
        text=report["text"],
        findings=report["findings"],
        impression=report["impression"],
        model=report["model"],
        bundle_sha256=report["bundle_sha256"],
        key=report["key"],
        created=datetime.datetime.fromisoformat(report["created"]),
        predecessor=predecessor,
    )


def build(
    names: Sequence[DocumentName],
    report: Mapping[str, Any],
    source: Path,
    predecessors: Mapping[str, tuple[str, str]],
) -> list[Dataset]:
    """The documents of a report; `predecessors` are those of an earlier revision, by SOP class."""
    with source.open("rb") as stream:
        header = read_source(stream)
    written = []
    for name in names:
        dataset = _WRITERS[name](draft_of(report, header))
        predecessor = predecessors.get(str(dataset.SOPClassUID))
        if predecessor is not None and name != "capture":
            dataset = _WRITERS[name](draft_of(report, header, predecessor))
        written.append(dataset)
    return written


def fhir_of(report: Mapping[str, Any], document: Path) -> bytes:
    """A recorded report as FHIR DiagnosticReport; the study's attributes are those of a document that was written."""
    with document.open("rb") as stream:
        return json.dumps(diagnostic_report(draft_of(report, read_source(stream)))).encode()


def event_of(job: Job) -> dict[str, Any]:
    """What the webhook is told: identifiers and the outcome, no patient data but the study's UID."""
    return {
        "job": job.id,
        "study_instance_uid": job.study_uid,
        "revision": job.revision,
        "state": job.state,
        "reason": job.reason,
        "documents": job.documents,
    }
