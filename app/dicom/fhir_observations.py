"""The probabilities of findings and the priority as FHIR R4 Observations."""

from typing import Any

from app.dicom.probabilities import Code, Probabilities, calibration_in_words

_SYSTEMS = {"SCT": "http://snomed.info/sct", "RADLEX": "http://www.radlex.org"}
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_ABNORMAL = Code("SCT", "263654008", "Abnormal")


def observations(found: Probabilities, about: dict[str, Any]) -> list[dict[str, Any]]:
    """One Observation a finding, one of abnormal, and one of the priority, all preliminary; `about` is what they share:
    device, subject, time.

    The code is Probability (122157, DCM), and what it is of a component: a probability of a finding asserts none.
    """
    measured: list[tuple[Code, float, bool, str | None]] = [
        (one.code, one.probability, one.calibrated, one.question) for one in found.findings
    ]
    if found.abnormal is not None:
        measured.append((_ABNORMAL, found.abnormal.probability, found.abnormal.calibrated, None))
    made = []
    for number, (code, probability, calibrated, question) in enumerate(measured, start=1):
        made.append(
            {
                **_observation(f"probability-{number}", about),
                "code": {
                    "coding": [{"system": _DCM, "code": "122157", "display": "Probability"}],
                    "text": f"Probability of the finding: {code.meaning}",
                },
                "valueQuantity": {"value": probability, "system": "http://unitsofmeasure.org", "code": "1"},
                "method": {"text": "Calibrated" if calibrated else "Not calibrated"},
                "component": [
                    {
                        "code": {"coding": [{"system": _DCM, "code": "121071", "display": "Finding"}]},
                        "valueCodeableConcept": {
                            "coding": [
                                {"system": _SYSTEMS[code.scheme], "code": code.value, "display": code.meaning},
                            ]
                        },
                    }
                ],
                "note": [
                    *([{"text": f"Question to the model: {question}"}] if question else []),
                    {"text": f"The probability is {calibration_in_words(calibrated)}."},
                ],
            }
        )
    if found.priority is not None:
        made.append(
            {
                **_observation("priority", about),
                "code": {
                    "coding": [{"system": "http://snomed.info/sct", "code": "260870009", "display": "Priority"}],
                    "text": "Priority that the probability of abnormal suggests",
                },
                "valueCodeableConcept": {
                    "coding": [{"system": "http://hl7.org/fhir/request-priority", "code": found.priority}]
                },
            }
        )
    return made


def _observation(identity: str, about: dict[str, Any]) -> dict[str, Any]:
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging"}
    return {
        "resourceType": "Observation",
        "id": identity,
        "status": "preliminary",
        "category": [{"coding": [category]}],
        **about,
    }
