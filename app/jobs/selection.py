"""Which images of a study can be read, and in which order they are tried."""

from collections.abc import Iterable

from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
)

from app.store.records import HeldInstance, Skipped
from app.store.rows import value_of

_READ = {
    str(ComputedRadiographyImageStorage),
    str(DigitalXRayImageStorageForPresentation),
    str(SecondaryCaptureImageStorage),
}
_VIEW = "00185101"
# A PA film shows the heart at its size; AP is the bedside view; a missing view may be either.
_RANK = {"PA": 0, "AP": 1, "": 2}
_OTHER_VIEW = 3


def split(held: Iterable[HeldInstance]) -> tuple[list[HeldInstance], list[Skipped]]:
    """Candidates in the order in which to try them, and the skipped instances with their reasons.

    Candidates are CR, DX for presentation and Secondary Capture whose pixel data is still held; what they show is
    decided when they are decoded.
    """
    candidates: list[HeldInstance] = []
    skipped: list[Skipped] = []
    for instance in held:
        if instance.sop_class_uid not in _READ:
            skipped.append(
                skip(instance, "wrong_sop_class", "Not a CR, DX for presentation or Secondary Capture image.")
            )
        elif instance.file is None:
            skipped.append(skip(instance, "removed", "The retention time of its pixel data is over."))
        else:
            candidates.append(instance)
    return sorted(candidates, key=_rank), skipped


def skip(instance: HeldInstance, code: str, detail: str) -> Skipped:
    """Why an instance was not read."""
    return Skipped(instance.sop_instance_uid, code, detail)


def _rank(instance: HeldInstance) -> tuple[int, bool, float, str]:
    view = value_of(instance.attributes, _VIEW).upper()
    capture = instance.sop_class_uid == SecondaryCaptureImageStorage
    return _RANK.get(view, _OTHER_VIEW), capture, instance.received, instance.sop_instance_uid
