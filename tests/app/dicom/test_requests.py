"""Issuers and orders: what tells hospitals' numbers apart, and which requests a report fulfils."""

import io
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from app.dicom.part10 import to_bytes
from app.dicom.sample import sample_dicom
from tests.support.drafts import WRITERS, Write, read, source, written
from tests.support.peers import dciodvfy_errors

EACH = pytest.mark.parametrize("write", WRITERS)


def item(**values: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.fixture
def ordered() -> Dataset:
    of = pydicom.dcmread(io.BytesIO(sample_dicom()))
    of.AccessionNumber, of.IssuerOfPatientID = "A-1", "HOSP_A"
    of.PatientIdentityRemoved, of.DeidentificationMethod = "YES", "pseudonyms"
    of.IssuerOfAccessionNumberSequence = Sequence([item(LocalNamespaceEntityID="RIS_A")])
    of.IssuerOfPatientIDQualifiersSequence = Sequence([item(UniversalEntityID="1.2.3", UniversalEntityIDType="ISO")])
    other = item(PatientID="X9", IssuerOfPatientID="HOSP_B", TypeOfPatientID="TEXT")
    other.add_new(0x00111001, "LO", "private")
    of.OtherPatientIDsSequence = Sequence([other])
    code = item(CodeValue="36643-5", CodingSchemeDesignator="LN", CodeMeaning="XR Chest 2 Views")
    request = item(RequestedProcedureID="RP1", ScheduledProcedureStepID="SPS1", RequestedProcedureDescription="Chest")
    request.RequestedProcedureCodeSequence = Sequence([code])
    of.RequestAttributesSequence = Sequence([request, item(RequestedProcedureID="RP2", AccessionNumber="A-2")])
    return read(to_bytes(of))


@EACH
def test_issuers_and_deidentification_are_taken_over(tmp_path: Path, write: Write, ordered: Dataset) -> None:
    found = written(write, ordered)
    assert found.IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID == "RIS_A"
    assert found.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID == "1.2.3"
    (other,) = found.OtherPatientIDsSequence
    assert (other.PatientID, other.TypeOfPatientID) == ("X9", "TEXT")
    assert not any(element.tag.is_private for element in other)
    assert (found.PatientIdentityRemoved, found.DeidentificationMethod) == ("YES", "pseudonyms")
    found.save_as(tmp_path / "document.dcm")
    assert dciodvfy_errors(tmp_path / "document.dcm") == []


@pytest.mark.parametrize("write", WRITERS[:2])
def test_a_report_names_the_requests_that_it_fulfils(write: Write, ordered: Dataset) -> None:
    first, second = written(write, ordered).ReferencedRequestSequence
    assert (first.RequestedProcedureID, first.AccessionNumber) == ("RP1", "A-1")
    assert first.RequestedProcedureCodeSequence[0].CodeValue == "36643-5"
    assert first.StudyInstanceUID == ordered.StudyInstanceUID
    assert (second.RequestedProcedureID, second.AccessionNumber) == ("RP2", "A-2")
    assert "ReferencedRequestSequence" not in written(write, source())
