"""Which images of a study can be read, and in which order they are tried."""

from collections.abc import Iterable
from typing import Any

from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
)

from app.store.recording import value_of

_READ = {
    str(ComputedRadiographyImageStorage),
    str(DigitalXRayImageStorageForPresentation),
    str(SecondaryCaptureImageStorage),
}
_VIEW = "00185101"
# A PA film shows the heart at its size; AP is the bedside view; a missing view may be either.
_RANK = {"PA": 0, "AP": 1, "": 2}
_OTHER_VIEW = 3


def split(rows: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Candidates in the order in which to try them, and the skipped instances with their reasons.

    Candidates are CR, DX for presentation and Secondary Capture whose pixel data is still held; what they show is
    decided when they are decoded.
    """
    candidates: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    for row in rows:
        if row["sop_class_uid"] not in _READ:
            skipped.append(skip(row, "wrong_sop_class", "Not a CR, DX for presentation or Secondary Capture image."))
        elif row["file"] is None:
            skipped.append(skip(row, "removed", "The retention time of its pixel data is over."))
        else:
            candidates.append(row)
    return sorted(candidates, key=_rank), skipped


def skip(row: dict[str, Any], code: str, detail: str) -> dict[str, str]:
    """Why an instance was not read."""
    return {"sop_instance_uid": row["sop_instance_uid"], "code": code, "detail": detail}


def _rank(row: dict[str, Any]) -> tuple[int, bool, float, str]:
    view = value_of(row["attributes"], _VIEW).upper()
    capture = row["sop_class_uid"] == SecondaryCaptureImageStorage
    return _RANK.get(view, _OTHER_VIEW), capture, row["received"], row["sop_instance_uid"]
