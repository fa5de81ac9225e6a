"""A draft report as Comprehensive 3D SR after TID 1500 Measurement Report (PS3.16)."""

from highdicom.sr import (
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from app.dicom.document import Draft, document_header, set_document_flags
from app.dicom.equipment import MANUFACTURER, device_uid
from app.dicom.probability_group import probability_group

DOCUMENT = "measurement"
# The document's own header and flags, which highdicom would take from the source unchecked.
_CONTENT = ("ValueType", "ConceptNameCodeSequence", "ContinuityOfContent", "ContentTemplateSequence", "ContentSequence")


def _evidence(draft: Draft) -> Dataset:
    """The source as highdicom asks for evidence; what it copies from it is replaced by the checked header."""
    source = Dataset()
    source.SpecificCharacterSet = "ISO_IR 192"
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(source, keyword, str(draft.source.get(keyword)))
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber",
                    "StudyDate", "StudyTime", "ReferringPhysicianName"):  # fmt: skip
        setattr(source, keyword, "")
    return source


def measurement_report(draft: Draft) -> Dataset:
    """The report as Comprehensive 3D SR (PS3.3 A.35.13).

    TID 1500 holds no narrative: the texts stand as comments (121106, DCM) of one group that points at the image. What
    was doubted of the image stands before them, each as an item of its own. Probabilities are a group of their own.
    """
    context = ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=CodedConcept("121007", "DCM", "Device"),
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=device_uid(draft.bundle_sha256),
                name=draft.model,
                manufacturer_name=MANUFACTURER,
                model_name=draft.model,
                serial_number=draft.bundle_sha256,
            ),
        )
    )
    source = draft.source
    image = SourceImageForMeasurementGroup(str(source.SOPClassUID), str(source.SOPInstanceUID))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=draft.uid(DOCUMENT, "tracking"), identifier="AI draft report"),
        source_images=[image],
        qualitative_evaluations=[
            QualitativeEvaluation(
                name=CodedConcept("121071", "DCM", "Finding"),
                value=CodedConcept("LLMCXR1", "99LLMCXR", "Draft report in the comment"),
            )
        ],
    )
    for warning in draft.warnings:
        group[0].ContentSequence.append(
            TextContentItem(
                name=CodedConcept("LLMCXR2", "99LLMCXR", "Warning about image or report"),
                value=warning,
                relationship_type=RelationshipTypeValues.CONTAINS,
            )
        )
    comment = TextContentItem(
        name=CodedConcept("121106", "DCM", "Comment"),
        value=draft.text or " ",
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    group[0].ContentSequence.append(comment)
    groups, found = [group], draft.probabilities
    if found is not None and found.findings:
        groups.append(probability_group(found, image, draft.uid(DOCUMENT, "probabilities")))
    report = MeasurementReport(
        observation_context=context,
        procedure_reported=CodedConcept("43468-8", "LN", "X-Ray Report"),
        imaging_measurements=groups,
        title=CodedConcept("126000", "DCM", "Imaging Measurement Report"),
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
            CodedConcept("en", "RFC5646", "English")
        ),
    )
    written = Comprehensive3DSR(
        evidence=[_evidence(draft)],
        content=report[0],
        series_instance_uid=draft.uid(DOCUMENT, "series"),
        series_number=9001,
        sop_instance_uid=draft.uid(DOCUMENT, "instance"),
        instance_number=1,
        manufacturer=MANUFACTURER,
    )
    dataset = document_header(draft, DOCUMENT, str(Comprehensive3DSRStorage), "SR")
    set_document_flags(dataset, draft)
    for keyword in _CONTENT:
        if keyword in written:
            dataset[keyword] = written[keyword]
    return dataset
