"""What follows from a header's evidence: why an image is not read, and what was assumed or doubted of one that is."""

from dataclasses import dataclass

from app.dicom.evidence.body_part import Anatomy
from app.dicom.evidence.orientation import Orientation
from app.dicom.evidence.purpose import Purpose
from app.dicom.evidence.view import Side, View

BODY_PART_UNSTATED = "The body part is not stated; it was taken to be the chest."
VIEW_UNSTATED = "The view is not stated; it was taken to be frontal."


@dataclass(frozen=True)
class HeaderEvidence:
    """What a header says of its image. No field holds free text of the header."""

    anatomy: Anatomy
    view: View
    orientation: Orientation
    purpose: Purpose


@dataclass(frozen=True)
class Refusal:
    """Why an image is not read: a stable code, and a sentence without patient data."""

    code: str
    detail: str


def refusal_of(evidence: HeaderEvidence) -> Refusal | None:
    """Why the image is no frontal chest radiograph for reading, None where nothing speaks against it."""
    purpose, anatomy, view = evidence.purpose, evidence.anatomy, evidence.view
    if purpose.for_processing:
        return Refusal("for_processing", "The image is for processing; its device has another one for presentation.")
    if purpose.checks_device:
        detail = f"The image checks a device or shows a phantom, as {purpose.checks_device} says."
        return Refusal("quality_control_image", detail)
    if anatomy.kind == "other":
        return Refusal("not_chest", f"The body part is {anatomy.term}, not the chest, as {anatomy.source} says.")
    if view.side is not Side.UNSTATED and not view.side.is_frontal:
        return Refusal("not_frontal", f"The view is {view.term}, not frontal (PA or AP), as {view.source} says.")
    return None


def warnings_of(evidence: HeaderEvidence) -> list[str]:
    """What was assumed, chosen or doubted, as sentences."""
    anatomy, view, purpose = evidence.anatomy, evidence.view, evidence.purpose
    found = []
    if anatomy.kind == "unstated":
        found.append(BODY_PART_UNSTATED)
    elif not anatomy.stated:
        found.append(f"The body part is not stated; it was taken from {anatomy.source}.")
    if anatomy.more:
        found.append(f"The image shows more than the chest, as {anatomy.source} says.")
    if anatomy.contradicted_by:
        found.append(f"{anatomy.source} says that it is the chest, and {anatomy.contradicted_by} names another part.")
    if view.side is Side.UNSTATED:
        found.append(VIEW_UNSTATED)
    elif view.source not in ("ViewPosition", "ViewCodeSequence"):
        found.append(f"The view is not stated; it was taken from {view.source}.")
    if view.contradicted_by:
        found.append(f"{view.source} says that the view is frontal, and {view.contradicted_by} says another one.")
    if evidence.orientation.plane == "nonsense":
        found.append("The PatientOrientation cannot be understood; the image was taken as it lies.")
    if purpose.secondary:
        found.append("The image was made from another one (ImageType SECONDARY).")
    if purpose.annotated:
        found.append("The image has annotations burned in.")
    return found
