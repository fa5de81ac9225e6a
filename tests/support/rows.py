"""Rows of the service's tables with only what a test is about."""

from typing import Any


def job_row(name: str, state: str, created: float = 0.0, **changes: Any) -> dict[str, Any]:
    """A row of `cxr_jobs` of a study of the same name."""
    times = dict.fromkeys(("created", "updated", "last_received"), created)
    lists: dict[str, list[Any]] = {column: [] for column in ("steps", "skipped", "documents")}
    row = {"id": name, "study_uid": name, "revision": 1, "state": state, "runs": 1, "attempts": 0, **times, **lists}
    return {**row, **changes}


def study_row(uid: str, **changes: Any) -> dict[str, Any]:
    """A row of `cxr_studies`."""
    texts = dict.fromkeys(("patient_id", "patient_name", "study_date", "accession_number"), "")
    return {"study_uid": uid, **texts, "attributes": {}, "revision": 1, "job": None, "created": 0.0, **changes}


def instance_row(name: str, size: int, file: str | None, **changes: Any) -> dict[str, Any]:
    """A row of `cxr_instances`."""
    texts = ("sop_class_uid", "study_uid", "series_uid", "transfer_syntax_uid", "modality", "sha256", "sender")
    rest = {"attributes": {}, "origin": "input", "received": 0.0}
    return {"sop_instance_uid": name, "bytes": size, "file": file, **dict.fromkeys(texts, "x"), **rest, **changes}
