"""Ingest: what is held back, what is cleaned up, what is enqueued once."""

import asyncio

import pytest
import sqlalchemy as sa

from app.dicom.status import FailureReason
from app.ingest import ingestor as module
from app.store.job_states import FINAL, JobState
from app.store.jobs import Jobs
from app.store.tables import jobs
from tests.support.ingest import Held
from tests.support.studies import instance, parsed


async def test_a_studys_work_is_enqueued_once_with_its_first_instance(held: Held) -> None:
    first = instance()
    uid = parsed(first).StudyInstanceUID
    for data in (first, instance(StudyInstanceUID=uid), instance(StudyInstanceUID=uid), first):
        assert held.accept(data).failure is None
    assert len(held.enqueued) == 1
    assert len(held.spool.names()) == 3
    assert (await Jobs(held.database).get(held.enqueued[0])).state == "received"


def test_an_instance_whose_work_cannot_be_enqueued_is_not_acknowledged_and_not_kept(held: Held) -> None:
    held.fault = RuntimeError("no queue")
    assert held.accept(instance()).failure is FailureReason.PROCESSING_FAILURE
    assert held.spool.names() == set()
    held.fault = None
    with held.database.reading() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM cxr_instances")).scalar_one() == 0


@pytest.mark.parametrize("state", sorted(FINAL))
async def test_an_instance_never_joins_a_job_that_is_over_although_its_study_still_names_it(
    held: Held, state: JobState
) -> None:
    """As a kill between the two transactions of the first release's cancel left it."""
    first = instance()
    uid = parsed(first).StudyInstanceUID
    held.accept(first)
    with held.database.transaction() as connection:
        connection.execute(sa.update(jobs).values(state=state))
    for _ in range(3):
        assert held.accept(instance(StudyInstanceUID=uid)).failure is None
    found, total = await Jobs(held.database).find(study_uid=uid)
    assert (total, len(held.enqueued)) == (2, 2)
    assert [(job.revision, job.state) for job in found] == [(2, JobState.RECEIVED), (1, state)]


async def test_an_instance_is_recorded_although_its_sender_has_left(held: Held) -> None:
    path = held.spool.new_file()
    path.write_bytes(instance())
    waiting = asyncio.wrap_future(held.ingestor.accept(path, sender="A"))
    waiting.cancel()
    receipt = await asyncio.to_thread(held.accept, instance())
    assert receipt.failure is None
    assert len(held.enqueued) == 2


def test_the_ingest_thread_survives_an_unexpected_error(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(held.ingestor, "_commit", fail)
    assert held.accept(instance()).failure is FailureReason.PROCESSING_FAILURE
    monkeypatch.undo()
    assert held.accept(instance()).failure is None


def test_a_study_is_held_back_while_its_sender_is_connected_but_not_for_ever(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = instance()
    uid = parsed(data).StudyInstanceUID
    with held.ingestor.sending("A"):
        held.accept(data)
        assert held.ingestor.is_being_sent(uid)
        assert not held.ingestor.is_being_sent("1.2.3")
        monkeypatch.setattr(module, "_HELD_SECONDS", 0.0)
        assert not held.ingestor.is_being_sent(uid)
        monkeypatch.undo()
    assert not held.ingestor.is_being_sent(uid)
