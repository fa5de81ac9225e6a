"""What belongs to a study or a patient, in every table, and its removal.

Repeatable: files are removed before the rows that name them, so that an erasure that was cut short is found again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from app.dicom.attributes import whole_of
from app.errors import Conflict
from app.settings import DEFAULT_TENANT
from app.store.job_states import OPEN, JobState
from app.store.owners import Owner
from app.store.records import Run
from app.store.replacement import erase_replaced
from app.store.rows import study_row
from app.store.spool import Spool
from app.store.tables import apart, deliveries, instances, jobs, studies

_PATIENT_ID = "00100020"
# What a study says of its patient, which another instance of it takes over.
_OF_PATIENT = ("patient_id", "patient_name", "study_date", "accession_number", "attributes")


@dataclass(frozen=True)
class Target:
    """What to erase: a patient's everything, or a study, of which `series` or `instance` names a part. Without
    `documents`, what was written of it stays, and its jobs. What is kept apart under a study's UID is another's, and
    goes only with `apart`.
    """

    study: str | None = None
    patient: str | None = None
    series: str | None = None
    instance: str | None = None
    documents: bool = True
    apart: bool = False

    def holds(self, row: Any) -> bool:
        """Whether an instance of a study is part of it."""
        if self.patient is not None:
            return whole_of(row.attributes, _PATIENT_ID) == self.patient
        if self.instance is None and self.series is None:
            return self.documents or row.origin != "result"
        return self.series == row.series_uid and self.instance in (None, row.sop_instance_uid)


@dataclass
class Erased:
    """What was erased: studies, jobs and patients, and how many instances, instances kept apart and files set aside.

    `left` are studies of which a part stays, since a job of them goes on; `unread` counts files set aside of which
    nobody can tell whose they are.
    """

    studies: set[str] = field(default_factory=set)
    patients: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    instances: int = 0
    apart: int = 0
    set_aside: int = 0
    unread: int = 0

    @property
    def anything(self) -> bool:
        """Whether there was something."""
        return bool(self.studies or self.instances or self.apart or self.set_aside)


def studies_of(connection: sa.Connection, target: Target) -> list[str]:
    """Study Instance UIDs that the target has a part in."""
    if target.patient is None:
        return list(
            connection.execute(sa.select(studies.c.study_uid).where(studies.c.study_uid == target.study)).scalars()
        )
    # As the column holds it, without what may pad it; which rows really are the patient's is decided by their values.
    first = target.patient.partition("\\")[0]
    text = json.dumps(first)[1:-1]
    held = sa.cast(instances.c.attributes, sa.Text).contains(text, autoescape=True)
    named = sa.select(studies.c.study_uid).where(sa.func.trim(studies.c.patient_id) == first)
    return sorted(connection.execute(named.union(sa.select(instances.c.study_uid).where(held))).scalars())


def end_jobs(connection: sa.Connection, study: str, now: sa.ColumnElement[float]) -> list[Run]:
    """Cancel the open jobs of a study that is to go as a whole; returns all runs that it has had."""
    connection.execute(sa.select(studies.c.job).where(studies.c.study_uid == study).with_for_update())
    mine = jobs.c.study_uid == study
    change = sa.update(jobs).where(mine, jobs.c.state.in_(OPEN)).values(state=JobState.CANCELLED, updated=now)
    connection.execute(change)
    connection.execute(sa.update(studies).where(studies.c.study_uid == study).values(job=None))
    found = connection.execute(sa.select(jobs.c.id, jobs.c.runs).where(mine)).all()
    return [Run(row.id, number) for row in found for number in range(1, row.runs + 1)]


def goes_as_a_whole(connection: sa.Connection, study: str, target: Target) -> bool:
    """Whether nothing of the study is to stay."""
    rows = connection.execute(sa.select(instances).where(instances.c.study_uid == study)).all()
    return all(target.holds(row) for row in rows)


def erase_study(connection: sa.Connection, spool: Spool, study: str, target: Target, erased: Erased) -> None:
    """Remove what the target has of a study. Raises Conflict where a job of it is open, OSError."""
    connection.execute(sa.select(studies.c.job).where(studies.c.study_uid == study).with_for_update())
    rows = connection.execute(sa.select(instances).where(instances.c.study_uid == study)).all()
    ours = [row for row in rows if target.holds(row)]
    reports = _jobs_of(connection, study, ours, target)
    ours += [row for row in rows if row not in ours and row.origin == "result" and row.job in reports]
    whole = len(ours) == len(rows)
    open_job = sa.select(jobs.c.id).where(jobs.c.study_uid == study, jobs.c.state.in_(OPEN)).limit(1)
    if (ours or whole) and connection.execute(open_job).first() is not None:
        raise Conflict("The study is being read or sent; delete it when its job is over.")
    for row in ours:
        if row.file is not None:
            spool.path(row.file).unlink(missing_ok=True)
        erased.patients.add(whole_of(row.attributes, _PATIENT_ID))
    uids = [row.sop_instance_uid for row in ours]
    erased.instances += len(uids)
    erased.apart += erase_replaced(connection, spool, uids)
    connection.execute(sa.delete(instances).where(instances.c.sop_instance_uid.in_(uids)))
    if whole:
        erased.studies.add(study)
        ids = connection.execute(sa.select(jobs.c.id).where(jobs.c.study_uid == study)).scalars().all()
        _erase_jobs(connection, ids, erased)
        connection.execute(sa.delete(studies).where(studies.c.study_uid == study))
    elif ours:
        _erase_jobs(connection, reports, erased)
        _describe_again(connection, study, [row for row in rows if row not in ours])


def _jobs_of(connection: sa.Connection, study: str, ours: Sequence[Any], target: Target) -> list[str]:
    """The study's jobs that wrote one of the instances, or, where documents go too, that read one."""
    uids = {row.sop_instance_uid for row in ours}
    rows = connection.execute(sa.select(jobs.c.id, jobs.c.image, jobs.c.documents).where(jobs.c.study_uid == study))

    def is_meant(row: Any) -> bool:
        read = row.image["sop_instance_uid"] if row.image and target.documents else None
        return read in uids or not uids.isdisjoint(row.documents)

    return [row.id for row in rows if is_meant(row)]


def _erase_jobs(connection: sa.Connection, ids: Sequence[str], erased: Erased) -> None:
    erased.jobs |= set(ids)
    connection.execute(sa.delete(deliveries).where(deliveries.c.job.in_(ids)))
    connection.execute(sa.delete(jobs).where(jobs.c.id.in_(ids)))


def _describe_again(connection: sa.Connection, study: str, rows: Sequence[Any]) -> None:
    """Let what stays say whose study it is."""
    if rows:
        first = min(rows, key=lambda row: row.received)
        fresh = study_row(study, first.attributes, Owner(None, DEFAULT_TENANT), 0.0)
        values = {column: fresh[column] for column in _OF_PATIENT}
        connection.execute(sa.update(studies).where(studies.c.study_uid == study).values(values))


def erase_apart(connection: sa.Connection, spool: Spool, target: Target, erased: Erased) -> None:
    """Remove what is kept apart of the target. Raises OSError."""
    if target.patient is None and not target.apart:
        return
    mine = apart.c.study_uid == target.study
    if target.patient is not None:
        mine = sa.func.trim(apart.c.patient_id) == target.patient
    rows = connection.execute(sa.select(apart).where(mine)).all()
    for row in rows:
        spool.path(row.file).unlink(missing_ok=True)
        erased.patients.add(row.patient_id.strip())
    connection.execute(sa.delete(apart).where(apart.c.id.in_([row.id for row in rows])))
    erased.apart += len(rows)
