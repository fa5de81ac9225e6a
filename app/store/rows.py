"""Rows of the tables as they are first written: studies, jobs, instances."""

from typing import Any

from pydicom.datadict import tag_for_keyword

from app.dicom.attributes import value_of
from app.dicom.header import STUDY_KEYWORDS, Header
from app.store.job_states import JobState
from app.store.owners import Owner

STUDY_TAGS = tuple(f"{tag_for_keyword(keyword):08X}" for keyword in (*STUDY_KEYWORDS, "IssuerOfPatientID"))


def study_row(uid: str, attributes: dict[str, Any], owner: Owner, now: float) -> dict[str, Any]:
    """A study as its first instance describes it, and whose sender it is."""
    return {
        "study_uid": uid,
        "patient_id": value_of(attributes, "00100020"),
        "patient_name": value_of(attributes, "00100010"),
        "study_date": value_of(attributes, "00080020")[:16],
        "accession_number": value_of(attributes, "00080050"),
        "attributes": {tag: attributes[tag] for tag in STUDY_TAGS if tag in attributes},
        "revision": 0,
        "job": None,
        "created": now,
        "owner": owner.id,
        "tenant": owner.tenant,
    }


def job_row(identity: str, study_uid: str, revision: int, now: float) -> dict[str, Any]:
    """A revision's job as it begins."""
    return {
        "id": identity,
        "study_uid": study_uid,
        "revision": revision,
        "state": JobState.RECEIVED,
        "runs": 1,
        "attempts": 0,
        "created": now,
        "updated": now,
        "last_received": now,
        "steps": [],
        "skipped": [],
        "documents": [],
    }


def instance_row(header: Header, file: str, sha256: str, size: int) -> dict[str, Any]:
    """The columns of an instance that follow from its header and file."""
    return {
        "sop_instance_uid": header.sop_instance_uid,
        "sop_class_uid": header.sop_class_uid,
        "study_uid": header.study_instance_uid,
        "series_uid": header.series_instance_uid,
        "transfer_syntax_uid": header.transfer_syntax_uid,
        "modality": value_of(header.attributes, "00080060")[:16],
        "attributes": header.attributes,
        "sha256": sha256,
        "bytes": size,
        "file": file,
    }
