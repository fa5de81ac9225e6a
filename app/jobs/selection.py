"""Which images of a study can be read, and in which order they are tried."""

from collections.abc import Iterable

from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from app.dicom.evidence import HeaderEvidence, Side, evidence_of, refusal_of
from app.dicom.evidence.stored import dataset_of
from app.store.records import HeldInstance, Skipped

_READ = {
    str(ComputedRadiographyImageStorage),
    str(DigitalXRayImageStorageForPresentation),
    str(SecondaryCaptureImageStorage),
}
# Looked at for a reason that says more than its class.
_LOOKED_AT = {*_READ, str(DigitalXRayImageStorageForProcessing)}
# A PA film shows the heart at its size; AP is the bedside view; a missing view may be either.
_SIDES = (Side.PA, Side.AP, Side.FRONTAL, Side.UNSTATED)


def split(held: Iterable[HeldInstance]) -> tuple[list[HeldInstance], list[Skipped]]:
    """Candidates in the order in which to try them, and the skipped instances with their reasons.

    Candidates are CR, DX for presentation and Secondary Capture whose pixel data is still held and whose header does
    not say that they are something else; what they show is decided when they are decoded.
    """
    candidates: list[tuple[HeldInstance, HeaderEvidence]] = []
    skipped: list[Skipped] = []
    for instance in held:
        evidence = evidence_of(dataset_of(instance.attributes))
        if instance.sop_class_uid not in _LOOKED_AT:
            skipped.append(
                skip(instance, "wrong_sop_class", "Not a CR, DX for presentation or Secondary Capture image.")
            )
        elif refusal := refusal_of(evidence):
            skipped.append(skip(instance, refusal.code, refusal.detail))
        elif instance.file is None:
            skipped.append(skip(instance, "removed", "The retention time of its pixel data is over."))
        else:
            candidates.append((instance, evidence))
    return [instance for instance, _ in sorted(candidates, key=lambda one: _rank(*one))], skipped


def skip(instance: HeldInstance, code: str, detail: str) -> Skipped:
    """Why an instance was not read."""
    return Skipped(instance.sop_instance_uid, code, detail)


def _rank(instance: HeldInstance, evidence: HeaderEvidence) -> tuple[bool, bool, bool, int, float, str]:
    """Radiographs before captures, originals before what was made of them, the chest before what is not stated, then
    by view and arrival.
    """
    capture = instance.sop_class_uid == SecondaryCaptureImageStorage
    derived, unstated = evidence.purpose.original is False, evidence.anatomy.kind == "unstated"
    view = _SIDES.index(evidence.view.side)
    return capture, derived, unstated, view, instance.received, instance.sop_instance_uid
