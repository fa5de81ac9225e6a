"""What one transaction records of instances that have arrived."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.dicom.equipment import MANUFACTURER
from app.dicom.header import Header
from app.dicom.status import FailureReason, Receipt
from app.store.database import Database
from app.store.records import OPEN, JobState
from app.store.rows import instance_row, job_id, job_row, study_row
from app.store.tables import instances, jobs, studies


@dataclass(frozen=True)
class Arrival:
    """An instance whose file is synced: its header, its name in the spool, its sender and the trace of its arrival."""

    header: Header
    file: str
    sha256: str
    bytes: int
    sender: str
    trace: str | None = None


Enqueue = Callable[[sa.Connection, str, str | None], None]


class NotLookedAt(Exception):
    """Whether the held files of these `rows` are whole has to be known first."""

    def __init__(self, rows: Sequence[Any]) -> None:
        super().__init__()
        self.rows = rows


def held_files(connection: sa.Connection) -> set[str]:
    """Names of the spool's files that belong to an instance."""
    return set(connection.execute(sa.select(instances.c.file).where(instances.c.file.is_not(None))).scalars())


def record(
    database: Database,
    connection: sa.Connection,
    arrivals: Sequence[Arrival],
    enqueue: Enqueue,
    lost: Set[str] = frozenset(),
    looked_at: Set[str] = frozenset(),
) -> list[tuple[Receipt, bool]]:
    """Record arrivals; returns for each its receipt and whether its file is now held.

    A study's first instance opens a revision and enqueues its job, later ones join it while it is open. `lost` are SOP
    Instance UIDs whose held file is missing or damaged, of those `looked_at`. One that arrives again for such a file,
    or after retention has removed it, takes its place; it opens a revision only where the study's latest job came to no
    good end. Raises NotLookedAt, before it writes, where the file of one that arrives again was not looked at.
    """
    rows = held_of(connection, [arrival.header.sop_instance_uid for arrival in arrivals])
    sent = {(arrival.header.sop_instance_uid, arrival.sha256) for arrival in arrivals}
    again = [row for row in rows if row.file and (row.sop_instance_uid, row.sha256) in sent]
    if unknown := [row for row in again if row.sop_instance_uid not in looked_at]:
        raise NotLookedAt(unknown)
    known = _known(rows)
    lost = {*lost, *known.removed}
    fresh: list[Arrival] = []
    outcomes: list[tuple[Receipt, bool]] = []
    for arrival in arrivals:
        uid = arrival.header.sop_instance_uid
        held = known.setdefault(uid, arrival.sha256)
        is_held = uid in known.held and not (uid in lost and held == arrival.sha256)
        # What we wrote may come back as a PACS has changed it; ours stands.
        if held != arrival.sha256 and not (is_ours(arrival.header) and uid not in known.received):
            outcomes.append((_receipt(arrival, FailureReason.DUPLICATE_INSTANCE), False))
        elif is_held or any(other.header.sop_instance_uid == uid for other in fresh):
            outcomes.append((_receipt(arrival), False))
        else:
            fresh.append(arrival)
            outcomes.append((_receipt(arrival), True))
    if fresh:
        # The database's clock: a replica with another time would close revisions too early or too late.
        now = database.now(connection)
        new = {one.header.study_instance_uid for one in fresh if one.header.sop_instance_uid not in known.held}
        open_jobs = _join_studies(database, connection, fresh, new, now, enqueue)
        for arrival in fresh:
            if (uid := arrival.header.sop_instance_uid) in known.held:
                connection.execute(sa.delete(instances).where(instances.c.sop_instance_uid == uid))
        connection.execute(sa.insert(instances), [_row(arrival, open_jobs, now) for arrival in fresh])
    return outcomes


def held_of(connection: sa.Connection, uids: Sequence[str]) -> Sequence[Any]:
    """What is recorded of those instances, their attributes excepted."""
    table = instances.c
    query = sa.select(table.sop_instance_uid, table.transfer_syntax_uid, table.sha256, table.file, table.origin)
    found: Sequence[Any] = connection.execute(query.where(table.sop_instance_uid.in_(uids))).all()
    return found


class _Known(dict[str, str]):
    """SHA-256 by SOP Instance UID; `held` are those that were there before this transaction, `removed` those of them
    whose file retention has removed, `received` those that were not written here.
    """

    held: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    received: frozenset[str] = frozenset()


def _known(rows: Sequence[Any]) -> _Known:
    found = _Known((row.sop_instance_uid, row.sha256) for row in rows)
    found.held = frozenset(found)
    found.received = frozenset(row.sop_instance_uid for row in rows if row.origin == "input")
    found.removed = frozenset(row.sop_instance_uid for row in rows if row.file is None)
    return found


def is_ours(header: Header) -> bool:
    """Whether this service wrote the instance: it comes back from a PACS and is not to be read again."""
    return header.manufacturer == MANUFACTURER


def _join_studies(
    database: Database,
    connection: sa.Connection,
    fresh: Sequence[Arrival],
    new: Set[str],
    now: float,
    enqueue: Enqueue,
) -> dict[str, str | None]:
    """Open jobs by study, with new revisions where none is open and the study is `new` or its latest job not done."""
    first = {arrival.header.study_instance_uid: arrival for arrival in reversed(fresh)}
    work = {arrival.header.study_instance_uid for arrival in fresh if not is_ours(arrival.header)}
    database.insert_new(
        connection, studies, [study_row(uid, first[uid].header.attributes, now) for uid in sorted(first)]
    )
    # In order, so that two replicas that record the same studies wait for one another instead of for ever.
    query = sa.select(studies).where(studies.c.study_uid.in_(sorted(first))).order_by(studies.c.study_uid)
    locked = connection.execute(query.with_for_update()).all()
    # A job that is over takes no instance, although its study still names it: it would be acknowledged and never read.
    named = sa.select(jobs.c.id).where(jobs.c.id.in_([study.job for study in locked]), jobs.c.state.in_(OPEN))
    going = set(connection.execute(named).scalars())
    done = _done(connection, [study.study_uid for study in locked if study.study_uid not in new])
    open_jobs: dict[str, str | None] = {}
    for study in locked:
        uid = study.study_uid
        open_jobs[uid] = study.job if study.job in going else None
        if uid not in work or (uid in done and open_jobs[uid] is None):
            continue
        if open_jobs[uid] is None:
            revision = study.revision + 1
            identity = open_jobs[uid] = job_id(uid, revision)
            connection.execute(sa.insert(jobs), [job_row(identity, uid, revision, now)])
            connection.execute(
                sa.update(studies).where(studies.c.study_uid == uid).values(job=identity, revision=revision)
            )
            enqueue(connection, identity, first[uid].trace)
        else:
            connection.execute(sa.update(jobs).where(jobs.c.id == study.job).values(last_received=now))
    return open_jobs


def _done(connection: sa.Connection, uids: Sequence[str]) -> set[str]:
    """Those of the studies whose latest job is done."""
    latest = sa.and_(jobs.c.study_uid == studies.c.study_uid, jobs.c.revision == studies.c.revision)
    query = sa.select(studies.c.study_uid).join(jobs, latest)
    wanted = query.where(studies.c.study_uid.in_(uids), jobs.c.state == JobState.DONE)
    return set(connection.execute(wanted).scalars()) if uids else set()


def _row(arrival: Arrival, open_jobs: dict[str, str | None], now: float) -> dict[str, Any]:
    return {
        **instance_row(arrival.header, arrival.file, arrival.sha256, arrival.bytes),
        "origin": "ours" if is_ours(arrival.header) else "input",
        "sender": arrival.sender[:64],
        "job": open_jobs[arrival.header.study_instance_uid],
        "received": now,
    }


def _receipt(arrival: Arrival, failure: FailureReason | None = None) -> Receipt:
    header = arrival.header
    return Receipt(
        header.sop_class_uid,
        header.sop_instance_uid,
        header.study_instance_uid,
        header.series_instance_uid,
        failure,
        None if failure else header.warning,
        "The UID is held already, with other content." if failure else "",
    )
