"""Two patients under one Study Instance UID: nothing of the study is read."""

from typing import Any

import pytest

from app.dicom.header import attributes_of
from app.jobs.patients import check_one_patient
from app.jobs.steps import JobFailed
from app.store.records import HeldInstance
from tests.support.radiographs import sequence_item


def held(file: str | None = "file", **attributes: Any) -> HeldInstance:
    return HeldInstance("1", "1.2", attributes_of(sequence_item(**attributes)), "1.2", "0" * 64, file, 0.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"PatientID": "A1"}, {"PatientID": "B2"}),
        ({"PatientID": "A1", "PatientName": "Doe^Jane"}, {"PatientID": "B2", "PatientName": "Doe^Jane"}),
        ({"PatientID": "A1", "IssuerOfPatientID": "X"}, {"PatientID": "A1", "IssuerOfPatientID": "Y"}),
        ({"PatientName": "Alpha^Ann"}, {"PatientName": "Beta^Bob"}),
        ({"PatientName": "Doe^Jane"}, {"PatientName": "Doe^Robert"}),
        ({"PatientID": "A1", "PatientName": "Doe^Jane"}, {"PatientName": "Beta^Bob"}),
        (
            {"PatientName": "Doe^Jane", "PatientBirthDate": "19500101"},
            {"PatientName": "Doe^Jane", "PatientBirthDate": "20010101"},
        ),
        (
            {"PatientID": "0", "PatientName": "Mueller^Hans", "PatientBirthDate": "19700101", "PatientSex": "F"},
            {"PatientID": "0", "PatientName": "Kim^Yuna", "PatientBirthDate": "20010101", "PatientSex": "M"},
        ),
        (
            {"PatientID": "UNKNOWN", "PatientName": "Mueller^Hans", "PatientSex": "F"},
            {"PatientID": "UNKNOWN", "PatientName": "Kim^Yuna", "PatientSex": "M"},
        ),
    ],
)
def test_two_patients_end_the_job_without_naming_them(one: dict[str, Any], other: dict[str, Any]) -> None:
    with pytest.raises(JobFailed) as caught:
        check_one_patient([held(**one), held(**other)])
    assert caught.value.reason.code == "two_patients"
    assert not any(value in caught.value.reason.detail for value in (*one.values(), *other.values()) if len(value) > 1)
    check_one_patient([held(**one), held(file=None, **other)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"PatientID": "A1", "PatientName": "Doe^Jane"}, {"PatientID": "A1 ", "PatientName": "Miller^Jane"}),
        ({"PatientID": "A1", "PatientName": "Doe^Jane"}, {"PatientName": "Doe^J"}),
        ({"PatientID": "A1", "PatientName": "Unknown^Emergency"}, {"PatientID": "A1", "PatientName": "Doe^Jane"}),
        ({"PatientID": "12345"}, {"PatientID": "0012345"}),
        ({"PatientID": "abc1", "IssuerOfPatientID": "KH A"}, {"PatientID": "ABC1", "IssuerOfPatientID": "kh a"}),
        ({"PatientID": "A1", "PatientSex": "O"}, {"PatientID": "A1", "PatientSex": "M"}),
        ({"PatientID": "A1", "IssuerOfPatientID": "X"}, {"PatientID": "A1"}),
        ({"PatientName": "Müller^Änne"}, {"PatientName": "MULLER^ANNE"}),
        ({"PatientName": "Doe^Jane"}, {"PatientName": "Doe^J"}),
        ({"PatientName": "Doe^Jane"}, {"PatientName": "Jane Doe"}),
        ({"PatientName": "Yamada^Tarou"}, {"PatientName": "=山田^太郎"}),
        ({}, {"PatientName": "Doe^Jane"}),
    ],
)
def test_one_patient_written_in_two_ways_is_one(one: dict[str, Any], other: dict[str, Any]) -> None:
    check_one_patient([held(**one), held(**other)])


def test_a_patient_behind_many_spellings_of_another_is_not_left_out() -> None:
    spellings = [held(PatientID="A1", PatientName=f"Doe^Jane {number}") for number in range(80)]
    with pytest.raises(JobFailed):
        check_one_patient([*spellings, held(PatientID="B2", PatientName="Beta^Bob")])
