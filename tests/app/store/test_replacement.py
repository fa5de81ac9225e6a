"""An instance that arrives again in another state: a correction, an older state, or another patient's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.uid import (
    JPEGLSLossless,
    generate_uid,
)

from app.dicom.likeness import Likeness
from app.dicom.status import FailureReason, WarningReason
from app.settings import OnChange
from app.store.erasure import Erased, Target, erase_study
from app.store.owners import Owner
from app.store.records import Apart
from app.store.tables import apart as apart_table
from tests.app.ingest.test_transfer_syntaxes import WRITTEN, written
from tests.support.ingest import Held
from tests.support.states import apart, changed, finish_jobs, rows, states, study
from tests.support.studies import damaged, instance, parsed

RED, RED_TOO = Owner("key:1", "red"), Owner("ae:CR1", "red")


@pytest.fixture
def policy(tmp_path: Path) -> Iterator[Any]:
    """Makes an ingestor with a policy."""
    made: list[Held] = []

    def make(on_change: OnChange) -> Held:
        made.append(Held(tmp_path / on_change, on_change=on_change))
        made[-1].ingestor.start()
        return made[-1]

    yield make
    for one in made:
        one.close()


CORRECTIONS: dict[str, dict[str, Any]] = {
    "view": {"ViewPosition": "PA"},
    "name": {"PatientName": "Corrected^Name"},
    "birth date": {"PatientBirthDate": "19700102"},
    "accession number": {"AccessionNumber": "NEW-1"},
    "series": {"SeriesInstanceUID": "1.2.3.4"},
    "class": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1"},
    "private": {"PatientComments": "noted"},
}


@pytest.mark.parametrize("change", CORRECTIONS.values(), ids=CORRECTIONS)
def test_a_correction_takes_the_place_of_what_is_held_and_opens_a_revision(held: Held, change: dict[str, Any]) -> None:
    before, after = states({}, change)
    held.accept(before)
    finish_jobs(held)
    old = rows(held)[0]
    receipt = held.accept(after)
    assert (receipt.failure, receipt.warning, receipt.outcome) == (None, None, "replaced")
    assert receipt.opened == held.enqueued[1] == study(held).job
    assert study(held).revision == 2
    new = rows(held)[0]
    assert (len(rows(held)), new.job) == (1, study(held).job)
    assert held.spool.path(new.file).read_bytes() == after
    # What was acknowledged is not lost.
    kept = apart(held)
    assert [(one.reason, one.file, one.sha256) for one in kept] == [(Apart.REPLACED, old.file, old.sha256)]
    assert held.spool.path(old.file).read_bytes() == before
    # Sent again it is the same.
    assert held.accept(after).outcome == "stored"
    assert len(held.enqueued) == 2


def test_what_a_correction_says_of_patient_and_study_is_found_from_then_on_and_nothing_else_changes(
    held: Held,
) -> None:
    before, after = states(
        {"StudyDescription": "old", "ReferringPhysicianName": "Ref^A", "AccessionNumber": "A1"},
        {"PatientName": "Corrected^Name", "PatientBirthDate": "19700102", "StudyDescription": "new"},
    )
    after = changed(after, ReferringPhysicianName=None, AccessionNumber="A2")
    # Another instance, which came first, says another description: that of the study.
    other = instance(StudyInstanceUID=parsed(before).StudyInstanceUID, StudyDescription="first", StudyID="S1")
    for data in (other, before):
        held.accept(data)
    held.accept(changed(before, ViewPosition="PA"))
    assert study(held).attributes["00081030"]["Value"] == ["first"]
    held.accept(after)
    found = study(held)
    assert found.patient_name == "Corrected^Name"
    assert found.accession_number == "A2"
    assert found.attributes["00100030"]["Value"] == ["19700102"]
    assert found.attributes["00081030"]["Value"] == ["new"]
    assert found.attributes["00200010"]["Value"] == ["S1"]
    assert "00080090" not in found.attributes


def test_a_correction_joins_a_revision_that_is_open(held: Held) -> None:
    before, after = states({}, {"ViewPosition": "PA"})
    held.accept(before)
    assert held.accept(after).outcome == "replaced"
    assert (study(held).revision, len(held.enqueued)) == (1, 1)


def test_an_older_state_that_is_sent_again_undoes_no_correction(held: Held) -> None:
    first, second, *more, last = states({}, *({"AccessionNumber": f"A{number}"} for number in range(8)))
    for data in (first, second, *more, last):
        held.accept(data)
    # However it is encoded, also as a lossy copy, and when what it was is kept no longer.
    again = [first, second, *(written(syntax, first) for syntax in WRITTEN), written(JPEGLSLossless, second)]
    for number, data in enumerate(again):
        if number == 3:
            with held.database.transaction() as connection:
                connection.execute(sa.delete(apart_table))
        receipt = held.accept(data)
        assert (receipt.failure, receipt.warning) == (None, WarningReason.SUPERSEDED)
        assert (receipt.outcome, bool(receipt.detail)) == ("superseded", True)
    assert held.spool.path(rows(held)[0].file).read_bytes() == last


@pytest.mark.parametrize(
    ("on_change", "change", "outcome"),
    [
        ("keep", {"ViewPosition": "PA"}, "duplicate_instance"),
        ("keep", {"PatientID": "OTHER"}, "duplicate_instance"),
        ("replace_same_patient", {"ViewPosition": "PA"}, "replaced"),
        ("replace_same_patient", {"PatientID": "OTHER"}, "duplicate_instance"),
        ("replace_same_patient", {"PatientID": "OTHER", "PatientName": "Beta^Bob"}, "duplicate_instance"),
        ("replace", {"ViewPosition": "PA"}, "replaced"),
        ("replace", {"PatientID": "OTHER", "PatientName": "Beta^Bob"}, "replaced"),
        ("replace", {"StudyInstanceUID": "1.2.3"}, "duplicate_instance"),
        ("replace_same_patient", {"StudyInstanceUID": "1.2.3"}, "duplicate_instance"),
    ],
)
def test_the_policy_says_whether_a_changed_instance_is_kept_or_replaced(
    policy: Any, on_change: OnChange, change: dict[str, Any], outcome: str
) -> None:
    held = policy(on_change)
    ann = {"PatientID": "ANN-1", "PatientName": "Alpha^Ann"}
    before, after = states(ann, {**ann, **change})
    held.accept(before, owner=RED)
    receipt = held.accept(after, owner=RED)
    assert receipt.outcome == outcome
    if outcome == "duplicate_instance":
        assert receipt.failure is FailureReason.DUPLICATE_INSTANCE
        assert receipt.detail
        assert held.spool.path(rows(held)[0].file).read_bytes() == before
        assert held.spool.names() == {rows(held)[0].file}
    else:
        assert study(held).patient_id == parsed(after).PatientID
        assert receipt.warning is None


def test_a_correction_may_come_from_another_sender_of_the_tenant_who_shows_that_it_is_the_patient(held: Held) -> None:
    before, after, other = states({}, {"ViewPosition": "PA"}, {"PatientID": "SOMEBODY-ELSE"})
    held.accept(before, owner=RED)
    assert held.accept(after, owner=RED_TOO).outcome == "replaced"
    assert held.accept(other, owner=RED_TOO).outcome == "kept_apart"
    assert held.accept(after, owner=Owner("key:9", "blue")).outcome == "kept_apart"
    assert held.spool.path(rows(held)[0].file).read_bytes() == after


def test_a_merge_of_patients_that_another_sender_of_the_tenant_sends_is_followed_where_that_is_set(policy: Any) -> None:
    held = policy("replace")
    before, after = states({"PatientID": "ANN-1"}, {"PatientID": "ANN-2", "PatientName": "Merged^Ann"})
    held.accept(before, owner=RED)
    assert held.accept(after, owner=Owner("key:9", "blue")).outcome == "kept_apart"
    assert held.accept(after, owner=RED_TOO).outcome == "replaced"
    assert study(held).patient_id == "ANN-2"
    # Another instance of another patient is still kept apart.
    other = instance(StudyInstanceUID=parsed(before).StudyInstanceUID, PatientID="ANN-3")
    assert held.accept(other, owner=RED_TOO).outcome == "kept_apart"


def test_what_cannot_be_decoded_replaces_nothing_and_is_replaced_by_what_can(held: Held) -> None:
    uids = {"SOPInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    bad, good = damaged(**uids), instance(**uids)
    held.accept(bad)
    assert held.accept(bad).outcome == "stored"
    assert held.accept(good).outcome == "replaced"
    receipt = held.accept(changed(bad, PatientComments="x"))
    assert receipt.failure is FailureReason.DUPLICATE_INSTANCE
    assert "compared" in receipt.detail


def test_several_states_in_one_batch_are_recorded_one_after_the_other(held: Held) -> None:
    data = states({}, *({"SeriesDescription": f"state {number}"} for number in range(5)))
    receipts = [one.result(60) for one in [held.hand_over(one) for one in data]]
    assert all(receipt.failure is None for receipt in receipts)
    assert len(rows(held)) == 1
    assert len(apart(held)) == sum(receipt.likeness is Likeness.CHANGED for receipt in receipts)
    assert held.spool.names() == {rows(held)[0].file} | {one.file for one in apart(held)}


def test_an_erased_study_takes_what_it_had_replaced_along(held: Held) -> None:
    before, after = states({}, {"ViewPosition": "PA"})
    held.accept(before)
    held.accept(after)
    finish_jobs(held)
    erased, uid = Erased(), study(held).study_uid
    with held.database.transaction() as connection:
        erase_study(connection, held.spool, uid, Target(study=uid), erased)
    assert (erased.instances, erased.apart) == (1, 1)
    assert held.spool.names() == set()
    assert held.accept(before).outcome == "stored"


def test_a_correction_is_recorded_in_either_database(tmp_path: Path, url: str) -> None:
    held = Held(tmp_path, url)
    held.ingestor.start()
    before, after = states({"PatientName": "Wrong^Name"}, {"PatientName": "Right^Name"})
    try:
        held.accept(before)
        assert held.accept(after).outcome == "replaced"
        assert held.accept(before).outcome == "superseded"
        assert study(held).patient_name == "Right^Name"
        assert [one.reason for one in apart(held)] == [Apart.REPLACED]
    finally:
        held.close()


def test_what_was_being_compared_when_the_service_stops_is_answered(held: Held) -> None:
    before, after = states({}, {"ViewPosition": "PA"})
    held.accept(before)
    promised = [held.hand_over(after) for _ in range(4)]
    held.ingestor.close()
    for one in promised:
        receipt = one.result(1)
        assert receipt.failure in (None, FailureReason.OUT_OF_RESOURCES)
    assert len(rows(held)) == 1
