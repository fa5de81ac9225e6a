"""A draft report on its way into a DICOM document, and the header that all such documents share."""

import datetime
from dataclasses import dataclass

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from app.dicom.equipment import MANUFACTURER, contributing_equipment
from app.dicom.inherited import take_over
from app.dicom.local_time import local, offset
from app.dicom.probabilities import Probabilities
from app.dicom.requests import referenced_requests
from app.dicom.uids import derived_uid

SERIES_DESCRIPTION = "AI draft - unverified"
# PS3.3 C.7.1.1 Patient and C.7.2.1 General Study: what makes the document part of the source's study.
PATIENT_ATTRIBUTES = (
    "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "PatientBirthDate",
    "PatientSex", "OtherPatientIDsSequence", "PatientAge", "PatientSize", "PatientWeight", "PatientIdentityRemoved",
    "DeidentificationMethod", "DeidentificationMethodCodeSequence",
)  # fmt: skip
STUDY_ATTRIBUTES = (
    "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
    "IssuerOfAccessionNumberSequence", "StudyDescription",
)  # fmt: skip
_REQUIRED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber",
)  # fmt: skip


@dataclass(frozen=True)
class Draft:
    """What a document says, on which image, and what identifies it.

    `source` is the image's header; `key` the job's idempotency key, from which all UIDs follow; `created` is fixed by
    the job, so that a repeated write yields the same bytes; `zone` is that of the document's times where the source
    states none, this machine's if it is None. `warnings` are sentences on how the image was
    taken: what was assumed, turned, chosen or doubted. `predecessor` is the series and SOP Instance UID of the document
    of a previous revision; `probabilities` those of the image's findings, where they are known.
    """

    source: Dataset
    text: str
    findings: str | None
    impression: str | None
    model: str
    bundle_sha256: str
    key: str
    created: datetime.datetime
    warnings: tuple[str, ...] = ()
    predecessor: tuple[str, str] | None = None
    zone: datetime.tzinfo | None = None
    probabilities: Probabilities | None = None

    @property
    def written(self) -> datetime.datetime:
        """When it was created, in the source's time."""
        return local(self.created, self.source, self.zone)

    def uid(self, document: str, part: str) -> str:
        """A UID of this draft's document: `part` is series or instance."""
        return derived_uid(self.key, document, part)


def document_header(draft: Draft, document: str, sop_class: str, modality: str) -> Dataset:
    """A dataset with the source's patient and study modules, a series of its own, and file meta information.

    Raises NotWritable.
    """
    dataset = Dataset()
    # PS3.5 6.1.2.3: with Unicode any text of the source and of the model can be written.
    dataset.SpecificCharacterSet = "ISO_IR 192"
    take_over(draft.source, dataset, (*PATIENT_ATTRIBUTES, *STUDY_ATTRIBUTES))
    for keyword in _REQUIRED:  # type 2
        if keyword not in dataset:
            setattr(dataset, keyword, "")
    if draft.source.get("SyntheticData") == "YES":
        dataset.SyntheticData = "YES"
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = draft.uid(document, "instance")
    dataset.SeriesInstanceUID = draft.uid(document, "series")
    dataset.Modality = modality
    dataset.SeriesNumber = 9000
    dataset.InstanceNumber = 1
    dataset.SeriesDescription = SERIES_DESCRIPTION
    dataset.SeriesDate = dataset.ContentDate = dataset.InstanceCreationDate = draft.written.strftime("%Y%m%d")
    dataset.SeriesTime = dataset.ContentTime = dataset.InstanceCreationTime = draft.written.strftime("%H%M%S")
    dataset.TimezoneOffsetFromUTC = offset(draft.written)
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = draft.model[:64]
    dataset.DeviceSerialNumber = draft.bundle_sha256[:64]
    dataset.SoftwareVersions = draft.model[:64]
    dataset.ContributingEquipmentSequence = Sequence(
        [
            contributing_equipment(
                "109102", "Processing Equipment", draft.model, draft.bundle_sha256, "Report drafted from the image"
            )
        ]
    )
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    return dataset


def referenced_instance(sop_class: str, sop_instance: str) -> Dataset:
    """An item of a Referenced SOP Sequence (PS3.3 10.8)."""
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = sop_instance
    return item


def hierarchical_reference(study: str, series: str, instance: Dataset) -> Dataset:
    """An item of a Hierarchical SOP Instance Reference (PS3.3 C.17.2.1)."""
    of_series = Dataset()
    of_series.SeriesInstanceUID = series
    of_series.ReferencedSOPSequence = Sequence([instance])
    of_study = Dataset()
    of_study.StudyInstanceUID = study
    of_study.ReferencedSeriesSequence = Sequence([of_series])
    return of_study


def evidence(draft: Draft) -> Dataset:
    """The source image as an item of the evidence sequences."""
    source = draft.source
    image = referenced_instance(str(source.SOPClassUID), str(source.SOPInstanceUID))
    return hierarchical_reference(str(source.StudyInstanceUID), str(source.SeriesInstanceUID), image)


def set_document_flags(dataset: Dataset, draft: Draft) -> None:
    """SR Document General (PS3.3 C.17.2): complete, preliminary and unverified."""
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.PreliminaryFlag = "PRELIMINARY"
    dataset.ReferencedPerformedProcedureStepSequence = Sequence([])
    dataset.PerformedProcedureCodeSequence = Sequence([])
    if requests := referenced_requests(draft.source):
        dataset.ReferencedRequestSequence = requests
    dataset.CurrentRequestedProcedureEvidenceSequence = Sequence([evidence(draft)])
    if draft.predecessor is not None:
        series, instance = draft.predecessor
        previous = referenced_instance(str(dataset.SOPClassUID), instance)
        dataset.PredecessorDocumentsSequence = Sequence(
            [hierarchical_reference(str(dataset.StudyInstanceUID), series, previous)]
        )
