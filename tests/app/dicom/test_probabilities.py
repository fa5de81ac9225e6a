"""The probabilities of findings in the documents: what each is of, whether it is calibrated, by which algorithm."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from app.dicom.document import Draft
from app.dicom.fhir import diagnostic_report
from app.dicom.measurement_report import measurement_report
from app.dicom.part10 import to_bytes
from app.dicom.probabilities import Abnormal, Probabilities
from tests.support.drafts import draft, source
from tests.support.findings import STORED
from tests.support.peers import dciodvfy_errors

MANY = replace(STORED, findings=[replace(STORED.findings[0], name=str(n)) for n in range(32)])


def with_probabilities(found: Probabilities | None) -> Draft:
    return replace(draft(source()), probabilities=found)


def written(found: Probabilities | None) -> Dataset:
    return pydicom.dcmread(io.BytesIO(to_bytes(measurement_report(with_probabilities(found)))))


def concept(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def below(item: Dataset, name: str) -> list[Dataset]:
    """Items of this concept below one, in the order of the document."""
    inner = [found for child in item.get("ContentSequence") or [] for found in below(child, name)]
    return [*([item] if concept(item) == name else []), *inner]


@pytest.mark.parametrize(
    "found",
    [
        STORED,
        MANY,
        replace(STORED, priority=None, abnormal=None),
        replace(STORED, abnormal=Abnormal(1e-4, False)),
        replace(STORED, findings=[], abnormal=None, priority=None),
    ],
)
def test_a_measurement_report_with_probabilities_passes_dciodvfy(tmp_path: Path, found: Probabilities) -> None:
    path = tmp_path / "document.dcm"
    path.write_bytes(to_bytes(measurement_report(with_probabilities(found))))
    assert dciodvfy_errors(path) == []


def test_each_probability_is_a_measurement_of_its_finding_with_method_and_algorithm() -> None:
    measured = below(written(STORED), "Probability")
    told = []
    for item in measured:
        value = item.MeasuredValueSequence[0]
        unit = value.MeasurementUnitsCodeSequence[0]
        assert (unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning) == ("{0:1}", "UCUM", "range: 0:1")
        modifier, method, *algorithm = item.ContentSequence
        assert (concept(modifier), modifier.RelationshipType) == ("Finding", "HAS CONCEPT MOD")
        assert concept(method) == "Measurement Method"
        of = modifier.ConceptCodeSequence[0]
        how = method.ConceptCodeSequence[0].CodeMeaning
        told.append((of.CodingSchemeDesignator, of.CodeValue, float(value.NumericValue), how))
        names = [(concept(part), part.TextValue) for part in algorithm]
        assert names[:2] == [("Algorithm Name", "llm-cxr-demo"), ("Algorithm Version", "0.4")]
        assert [name for name, _ in names[2:]] == ["Algorithm Parameters"] * 2
    assert told == [
        ("SCT", "233604007", 0.93, "Calibrated on known films"),
        ("SCT", "17621005", 0.0625, "Not calibrated"),
        ("SCT", "263654008", 0.93, "Calibrated on known films"),
    ]
    question = measured[0].ContentSequence[4].TextValue
    assert question == "question: Is there pneumonia?"


def test_no_group_asserts_a_finding_that_is_only_more_or_less_probable() -> None:
    groups = below(written(STORED), "Measurement Group")
    assert len(groups) == 2
    stated = [item for group in groups for item in group.ContentSequence if concept(item) == "Finding"]
    assert [item.ConceptCodeSequence[0].CodeValue for item in stated] == ["LLMCXR1"]
    assert len(below(written(None), "Measurement Group")) == 1


def test_the_report_says_in_words_which_probabilities_are_not_calibrated() -> None:
    *_, calibrated, other = [item.TextValue for item in below(written(STORED), "Comment")]
    assert calibrated == "Probability of Pneumonia, Abnormal: calibrated on films of which the answer is known."
    assert other.startswith("Probability of Normal: not calibrated:")


def test_the_priority_is_an_evaluation_of_the_group() -> None:
    (priority,) = below(written(STORED), "Priority")
    assert priority.ConceptCodeSequence[0].CodeValue == "urgent"
    assert below(written(replace(STORED, priority=None)), "Priority") == []


def test_writing_again_yields_the_same_bytes() -> None:
    first, second = (to_bytes(measurement_report(with_probabilities(STORED))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("found", [STORED, MANY, replace(STORED, findings=[], abnormal=None, priority=None)])
def test_the_fhir_report_with_probabilities_is_valid_r4(found: Probabilities) -> None:
    report = pytest.importorskip("fhir.resources.R4B.diagnosticreport").DiagnosticReport
    observation = pytest.importorskip("fhir.resources.R4B.observation").Observation
    body = diagnostic_report(with_probabilities(found))
    report.model_validate(body)
    contained = {one["id"]: one for one in body["contained"]}
    for one in contained.values():
        if one["resourceType"] == "Observation":
            observation.model_validate(one)
    # dom-3: what is contained is referred to.
    referred = [one["reference"].removeprefix("#") for one in body.get("result", [])]
    assert sorted([*referred, "model"]) == sorted(contained)


def test_the_results_of_the_fhir_report_say_what_each_probability_is_of_and_whether_it_is_calibrated() -> None:
    body = diagnostic_report(with_probabilities(STORED))
    *probabilities, priority = body["contained"][1:]

    def told(one: dict[str, Any]) -> tuple[Any, ...]:
        of = one["component"][0]["valueCodeableConcept"]["coding"][0]
        return of["system"], of["code"], one["valueQuantity"]["value"], one["method"]["text"]

    assert [told(one) for one in probabilities] == [
        ("http://snomed.info/sct", "233604007", 0.93, "Calibrated"),
        ("http://snomed.info/sct", "17621005", 0.0625, "Not calibrated"),
        ("http://snomed.info/sct", "263654008", 0.93, "Calibrated"),
    ]
    assert {one["code"]["coding"][0]["code"] for one in probabilities} == {"122157"}
    assert priority["valueCodeableConcept"]["coding"][0] == {
        "system": "http://hl7.org/fhir/request-priority",
        "code": "urgent",
    }
    assert "may be far from the truth" in str(probabilities[1]["note"])
    assert "result" not in diagnostic_report(with_probabilities(None))
