"""The orders that a report fulfils: from the image's Request Attributes (PS3.3 10.6) into SR Document General."""

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from app.dicom.inherited import take_over
from app.dicom.uids import is_valid_uid
from app.dicom.values import items_of, text_of

_TYPE_2 = (
    "AccessionNumber", "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID", "RequestedProcedureDescription",
)  # fmt: skip
_TYPE_3 = (
    "IssuerOfAccessionNumberSequence", "OrderPlacerIdentifierSequence", "OrderFillerIdentifierSequence",
    "ReasonForTheRequestedProcedure", "ReasonForRequestedProcedureCodeSequence",
)  # fmt: skip


def referenced_requests(source: Dataset) -> Sequence:
    """Items of a Referenced Request Sequence (PS3.3 Table C.17-2); none where the image names no request.

    Raises NotWritable.
    """
    found = []
    for request in items_of(source, "RequestAttributesSequence"):
        item = Dataset()
        study = text_of(request, "StudyInstanceUID") or ""
        item.StudyInstanceUID = study if is_valid_uid(study) and study else str(source.StudyInstanceUID)
        item.ReferencedStudySequence = Sequence([])
        item.RequestedProcedureCodeSequence = Sequence([])
        take_over(request, item, (*_TYPE_2, *_TYPE_3, "RequestedProcedureCodeSequence"))
        if not item.get("AccessionNumber"):
            take_over(source, item, ("AccessionNumber", "IssuerOfAccessionNumberSequence"))
        for keyword in _TYPE_2:
            if keyword not in item:
                setattr(item, keyword, "")
        found.append(item)
    return Sequence(found)
