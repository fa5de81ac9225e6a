"""What an instance is: its SOP Instance UID, its request's words about it, and its data set wherever that begins."""

import threading

import pytest

from app.dicom.status import FailureReason
from benchmarks.hostile import deflated_bomb, radiograph_header, under_a_lie, with_elements
from tests.support.ingest import Held
from tests.support.studies import instance, parsed


@pytest.mark.parametrize("length", [0, 4, 100_000, 0xFFFFFFF0])
def test_other_content_of_a_uid_is_a_duplicate_whatever_the_group_length_says(held: Held, length: int) -> None:
    header = radiograph_header()
    assert held.accept(under_a_lie(header, length)).failure is None
    assert held.accept(under_a_lie(header, length)).failure is None
    header.PatientID = "another"
    assert held.accept(under_a_lie(header, length)).failure is FailureReason.DUPLICATE_INSTANCE


def test_the_same_data_set_is_the_same_instance_under_any_lie(held: Held) -> None:
    header = radiograph_header()
    for length in (0xFFFFFFF0, 12, 0):
        assert held.accept(under_a_lie(header, length)).failure is None
    assert len(held.spool.names()) == 1


def test_an_instance_of_another_uid_than_its_request_names_is_a_mismatch(held: Held) -> None:
    data = instance()
    for named in ("1.2.3", "../../../x", ""):
        receipt = held.accept(data, named=named)
        assert receipt.failure is FailureReason.STUDY_MISMATCH
        assert receipt.failure.in_dimse == 0xA900
    assert held.spool.names() == set()
    assert held.accept(data, named=parsed(data).SOPInstanceUID).failure is None


def test_what_is_over_a_limit_is_refused_and_nothing_is_kept(held: Held) -> None:
    for data in (with_elements(1_000_000), deflated_bomb(1_000, "far"), deflated_bomb(1_000, "nopreamble")):
        receipt = held.accept(data)
        assert receipt.failure is FailureReason.OVER_LIMIT
        assert receipt.detail
    assert held.spool.names() == set()


def test_good_instances_go_past_those_that_are_inflated(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    going, read = threading.Event(), held.headers.read

    def slowly(file, opening):  # type: ignore[no-untyped-def]
        if opening.deflated:
            going.wait(30)
        return read(file, opening)

    monkeypatch.setattr(held.headers, "read", slowly)
    waiting = [held.hand_over(deflated_bomb(1)) for _ in range(20)]
    assert held.accept(instance()).failure is None
    assert not any(receipt.done() for receipt in waiting)
    going.set()
    assert [receipt.result(30).failure for receipt in waiting] == [None] * 20
