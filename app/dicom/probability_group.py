"""The probabilities of findings as a measurement group of TID 1500 (PS3.16)."""

from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)

from app.dicom.probabilities import Code, Probabilities, calibration_in_words

_PROBABILITY = CodedConcept("122157", "DCM", "Probability")
# PS3.16 7.2.2: a number without a unit, with the range that it is in.
_UNIT = CodedConcept("{0:1}", "UCUM", "range: 0:1")
_FINDING = CodedConcept("121071", "DCM", "Finding")
_ABNORMAL = Code("SCT", "263654008", "Abnormal")
_PRIORITY = CodedConcept("260870009", "SCT", "Priority")
_CALIBRATED = CodedConcept("LLMCXR3", "99LLMCXR", "Calibrated on known films")
_NOT_CALIBRATED = CodedConcept("LLMCXR4", "99LLMCXR", "Not calibrated")


def probability_group(
    found: Probabilities, image: SourceImageForMeasurementGroup, tracking_uid: str
) -> MeasurementsAndQualitativeEvaluations:
    """A group (TID 1501) with one measurement a finding, one of abnormal, and the priority.

    The group states no finding, since none is asserted: what a probability is of modifies the concept of its
    measurement (TID 300, $ModType). Each has the method, calibrated or not, and the algorithm (TID 4019).
    """
    measured = [(one.code, one.probability, one.calibrated, f"question: {one.question}") for one in found.findings]
    if found.abnormal is not None:
        of = "abnormal: by the finding of the model for it, or the highest probability of any"
        measured.append((_ABNORMAL, found.abnormal.probability, found.abnormal.calibrated, of))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=tracking_uid, identifier="AI probabilities of findings"),
        source_images=[image],
        measurements=[_measurement(found, *one) for one in measured],
        qualitative_evaluations=None
        if found.priority is None
        else [QualitativeEvaluation(_PRIORITY, CodedConcept(found.priority, "99LLMCXR", found.priority.upper()))],
    )
    for calibrated in (True, False):
        names = [code.meaning for code, _, is_calibrated, _ in measured if is_calibrated is calibrated]
        if names:
            comment = f"Probability of {', '.join(names)}: {calibration_in_words(calibrated)}."
            item = TextContentItem(CodedConcept("121106", "DCM", "Comment"), comment, RelationshipTypeValues.CONTAINS)
            group[0].ContentSequence.append(item)
    return group


def _measurement(found: Probabilities, of: Code, probability: float, calibrated: bool, parameter: str) -> Measurement:
    algorithm = AlgorithmIdentification(
        name=found.algorithm, version=found.version, parameters=[parameter, calibration_in_words(calibrated)]
    )
    method = _CALIBRATED if calibrated else _NOT_CALIBRATED
    measurement = Measurement(_PROBABILITY, probability, _UNIT, method=method, algorithm_id=algorithm)
    finding = CodeContentItem(
        _FINDING, CodedConcept(of.value, of.scheme, of.meaning), RelationshipTypeValues.HAS_CONCEPT_MOD
    )
    # TID 300 is in order: the modifier of the concept name comes first.
    measurement[0].ContentSequence.insert(0, finding)
    return measurement
