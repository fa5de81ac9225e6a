"""What belongs to another tenant or patient is taken, kept apart and warned about, and gets into no study."""

from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.uid import generate_uid

from app.dicom.status import WarningReason
from app.store.apart import all_apart
from app.store.owners import NOBODY, Owner
from app.store.recording import held_files
from app.store.records import Apart
from app.store.tables import instances
from tests.support.ingest import Held
from tests.support.studies import instance

RED, RED_TOO, BLUE = Owner("key:1", "red"), Owner("ae:CR1", "red"), Owner("key:2", "blue")
ANN = {"PatientID": "TEST-A", "PatientName": "Alpha^Ann"}
BOB = {"PatientID": "TEST-B", "PatientName": "Beta^Bob"}


def same_study(*patients: dict[str, Any], sop: bool = False) -> list[bytes]:
    uids = {"StudyInstanceUID": generate_uid(), **({"SOPInstanceUID": generate_uid()} if sop else {})}
    return [instance(**uids, **patient) for patient in patients]


def rows(held: Held) -> tuple[list[Any], list[Any]]:
    with held.database.reading() as connection:
        return list(connection.execute(sa.select(instances))), list(all_apart(connection))


@pytest.mark.parametrize(
    ("sop", "patients", "owners", "reason"),
    [
        (False, (ANN, BOB), (RED, RED_TOO), Apart.OTHER_PATIENT),
        (False, (ANN, ANN), (RED, BLUE), Apart.OTHER_TENANT),
        (False, (ANN, BOB), (RED, BLUE), Apart.OTHER_TENANT),
        (False, (ANN, ANN), (NOBODY, BLUE), Apart.OTHER_TENANT),
        (True, (ANN, BOB), (RED, RED_TOO), Apart.UID_TAKEN),
        (True, (ANN, ANN), (RED, BLUE), Apart.OTHER_TENANT),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_an_instance_of_somebody_elses_is_kept_apart(
    held: Held, sop: bool, patients: Any, owners: Any, reason: Apart, at_once: bool
) -> None:
    first, second = same_study(*patients, sop=sop)
    promised = [held.hand_over(first, owner=owners[0])]
    if not at_once:
        promised[0].result(30)
    promised.append(held.hand_over(second, owner=owners[1]))
    receipts = [one.result(30) for one in promised]
    assert [receipt.failure for receipt in receipts] == [None, None]
    assert sorted(receipt.outcome for receipt in receipts) == ["kept_apart", "stored"]
    apart = next(receipt for receipt in receipts if receipt.outcome == "kept_apart")
    assert apart.warning is WarningReason.KEPT_APART
    assert apart.detail
    stored, kept = rows(held)
    assert (len(stored), len(kept)) == (1, 1)
    if not at_once:
        assert kept[0].reason == reason
        assert (kept[0].owner, kept[0].tenant) == (owners[1].id, owners[1].tenant)
    assert len(held.enqueued) == 1
    with held.database.reading() as connection:
        assert held_files(connection) == held.spool.names()


NAMELESS = {"PatientID": "", "PatientName": "", "PatientBirthDate": "", "PatientSex": ""}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (NAMELESS, ANN),
        (ANN, NAMELESS),
        (NAMELESS, NAMELESS),
        ({**NAMELESS, "PatientID": "TEST-A"}, {**NAMELESS, "PatientName": "Alpha^Ann"}),
        ({**NAMELESS, "PatientBirthDate": "19500101"}, {**ANN, "PatientBirthDate": "19500101"}),
    ],
)
def test_of_another_sender_a_header_has_to_show_that_the_patient_is_the_same(
    held: Held, first: dict[str, Any], second: dict[str, Any]
) -> None:
    one, other = same_study(first, second)
    assert held.accept(one, owner=RED).outcome == "stored"
    assert held.accept(other, owner=RED_TOO).outcome == "kept_apart"
    # From one sender they may be one study.
    again, more = same_study(first, second)
    assert [held.accept(data, owner=RED).outcome for data in (again, more)] == ["stored", "stored"]


@pytest.mark.parametrize(
    ("patients", "owners"),
    [
        ((ANN, ANN), (RED, RED_TOO)),
        (({**ANN, "PatientID": ""}, ANN), (RED, RED_TOO)),
        ((ANN, {**ANN, "PatientID": "0TEST-A"}), (RED, RED_TOO)),
        ((ANN, ANN), (NOBODY, Owner("key:1"))),
    ],
)
def test_several_senders_of_a_tenant_fill_one_study(held: Held, patients: Any, owners: Any) -> None:
    for data, owner in zip(same_study(*patients), owners, strict=True):
        assert held.accept(data, owner=owner).outcome == "stored"
    assert [len(found) for found in rows(held)] == [2, 0]


def test_two_patients_of_one_sender_are_stored_with_a_warning(held: Held) -> None:
    one, other = same_study(ANN, BOB)
    assert held.accept(one, owner=RED).warning is None
    receipt = held.accept(other, owner=RED)
    assert receipt.warning is WarningReason.PATIENT_CONFLICT
    assert "no report" in receipt.detail
    assert [len(found) for found in rows(held)] == [2, 0]


def test_what_is_kept_apart_already_is_success_and_kept_once(held: Held) -> None:
    one, other = same_study(ANN, BOB)
    held.accept(one, owner=RED)
    for _ in range(3):
        assert held.accept(other, owner=BLUE).outcome == "kept_apart"
    assert [len(found) for found in rows(held)] == [1, 1]
    assert len(held.spool.names()) == 2


def test_the_warning_names_no_patient(held: Held) -> None:
    one, other = same_study(ANN, BOB)
    held.accept(one, owner=RED)
    detail = held.accept(other, owner=BLUE).detail
    assert not any(part in detail for part in ("Ann", "Bob", "TEST"))
