"""What a header says of its image: body part, view, how it lies, what it was made for. Pure, and it never raises."""

from pydicom.dataset import Dataset

from app.dicom.evidence.body_part import Anatomy, anatomy_of
from app.dicom.evidence.orientation import Orientation, Turn, orientation_of
from app.dicom.evidence.purpose import Purpose, purpose_of
from app.dicom.evidence.verdict import HeaderEvidence, Refusal, refusal_of, warnings_of
from app.dicom.evidence.view import Side, View, view_of

__all__ = [
    "Anatomy",
    "HeaderEvidence",
    "Orientation",
    "Purpose",
    "Refusal",
    "Side",
    "Turn",
    "View",
    "evidence_of",
    "refusal_of",
    "warnings_of",
]


def evidence_of(dataset: Dataset) -> HeaderEvidence:
    """The evidence of a header, damaged or not."""
    orientation = orientation_of(dataset)
    return HeaderEvidence(anatomy_of(dataset), view_of(dataset, orientation), orientation, purpose_of(dataset))
