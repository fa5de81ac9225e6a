"""What one transaction records of instances that have arrived."""

import secrets
from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from app.dicom.likeness import Likeness
from app.dicom.status import Receipt
from app.settings import OnChange
from app.store.apart import Foreign, Holder, apart_row, receipt_of_apart
from app.store.arrivals import Arrival, ToCompare, is_ours, receipt_of
from app.store.database import Database
from app.store.job_states import OPEN, JobState
from app.store.records import Apart
from app.store.replacement import Changes
from app.store.rows import instance_row, job_row, study_row
from app.store.tables import apart, instances, jobs, studies

Enqueue = Callable[[sa.Connection, str, str | None], None]


_ALIKE = (Likeness.SAME, Likeness.LOSSY)


class NotLookedAt(Exception):
    """Whether the held files of these `rows` are whole has to be known first."""

    def __init__(self, rows: Sequence[Any]) -> None:
        super().__init__()
        self.rows = rows


class HeldByAnother(Exception):
    """Another replica has recorded meanwhile what changes an outcome: a study, or another state of an instance."""


def held_files(connection: sa.Connection) -> set[str]:
    """Names of the spool's files that belong to an instance, or to one that is kept apart."""
    held = sa.select(instances.c.file).where(instances.c.file.is_not(None))
    return set(connection.execute(held.union_all(sa.select(apart.c.file))).scalars())


def record(
    database: Database,
    connection: sa.Connection,
    arrivals: Sequence[Arrival],
    enqueue: Enqueue,
    lost: Set[str] = frozenset(),
    looked_at: Set[str] = frozenset(),
    policy: OnChange = "replace_same_patient",
) -> list[tuple[Receipt | ToCompare | None, bool]]:
    """Record arrivals; returns for each its receipt and whether its file is now held. Instead of the receipt, what the
    arrival is to be compared with, as its UID is held with other bytes, or None where that is in the same batch.

    A study's first instance opens a revision and enqueues its job, later ones join it while it is open. `lost` are SOP
    Instance UIDs whose held file is missing or damaged, of those `looked_at`. One that arrives again for such a file,
    or after retention has removed it, takes its place; it opens a revision only where the study's latest job came to no
    good end. What belongs to another tenant or patient is kept apart. Raises NotLookedAt, before it writes, where the
    file of one that arrives again was not looked at, and HeldByAnother, which rolls all of it back.
    """
    uids = [arrival.header.sop_instance_uid for arrival in arrivals]
    rows = held_of(connection, uids)
    sent = {(arrival.header.sop_instance_uid, arrival.sha256) for arrival in arrivals}
    again = [row for row in rows if row.file and (row.sop_instance_uid, row.sha256) in sent]
    if unknown := [row for row in again if row.sop_instance_uid not in looked_at]:
        raise NotLookedAt(unknown)
    known = _known(rows)
    lost = {*lost, *known.removed}
    foreign = Foreign(connection, arrivals, rows, policy)
    fresh: list[Arrival] = []
    kept_apart: list[tuple[Arrival, Apart]] = []
    changes = Changes(connection, policy, arrivals)
    outcomes: list[tuple[Receipt | ToCompare | None, bool]] = []
    for arrival in arrivals:
        uid = arrival.header.sop_instance_uid
        if reason := foreign.reason(arrival):
            is_new = foreign.is_new(arrival)
            kept_apart += [(arrival, reason)] if is_new else []
            outcomes.append((receipt_of_apart(arrival, reason), is_new))
            continue
        held = known.setdefault(uid, arrival.sha256)
        is_held = uid in known.held and not (uid in lost and held == arrival.sha256)
        # What we wrote may come back as a PACS has changed it; ours stands.
        if held != arrival.sha256 and not (is_ours(arrival.header) and uid not in known.received):
            if arrival.compared is None or arrival.compared.sha256 != held:
                outcomes.append((changes.to_compare(uid), False))
            elif arrival.compared.likeness in _ALIKE and not arrival.compared.was_whole:
                # Known by its digests alone: what is answered as stored has to be there.
                known[uid] = arrival.sha256
                fresh.append(arrival)
                outcomes.append((receipt_of(arrival), True))
            elif arrival.compared.likeness in (*_ALIKE, Likeness.EARLIER):
                outcomes.append((receipt_of(arrival), False))
            elif refusal := changes.refusal(arrival):
                outcomes.append((receipt_of(arrival, refusal), False))
            else:
                changes.replace(arrival)
                known[uid] = arrival.sha256
                fresh.append(arrival)
                outcomes.append((receipt_of(arrival), True))
        elif is_held or any(other.header.sop_instance_uid == uid for other in fresh):
            outcomes.append((receipt_of(arrival), False))
        else:
            fresh.append(arrival)
            outcomes.append((foreign.admit(arrival, receipt_of(arrival)), True))
    # The database's clock: a replica with another time would close revisions too early or too late.
    now = database.now(connection) if fresh or kept_apart else 0.0
    if kept_apart:
        connection.execute(sa.insert(apart), [apart_row(arrival, reason, now) for arrival, reason in kept_apart])
    if fresh:
        new = {
            one.header.study_instance_uid
            for one in fresh
            if one.header.sop_instance_uid not in known.held - changes.replaced
        }
        open_jobs, opened = _join_studies(database, connection, fresh, new, changes, now, enqueue)
        replacing = [one.header.sop_instance_uid for one in fresh if one.header.sop_instance_uid in known.held]
        states = changes.states(replacing)
        if replacing:
            connection.execute(sa.delete(instances).where(instances.c.sop_instance_uid.in_(replacing)))
        connection.execute(sa.insert(instances), [_row(arrival, open_jobs, states, now) for arrival in fresh])
        outcomes = [
            (replace(receipt, opened=opened.get(arrival.file)) if isinstance(receipt, Receipt) else receipt, kept)
            for arrival, (receipt, kept) in zip(arrivals, outcomes, strict=True)
        ]
    return outcomes


def held_of(connection: sa.Connection, uids: Sequence[str]) -> Sequence[Any]:
    """What is recorded of those instances, their attributes excepted."""
    table = instances.c
    columns = (table.sop_instance_uid, table.study_uid, table.transfer_syntax_uid, table.sha256, table.file)
    query = sa.select(*columns, table.origin)
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


def _join_studies(
    database: Database,
    connection: sa.Connection,
    fresh: Sequence[Arrival],
    new: Set[str],
    changes: Changes,
    now: float,
    enqueue: Enqueue,
) -> tuple[dict[str, str | None], dict[str, str]]:
    """Open jobs by study, with new revisions where none is open and the study is `new` or its latest job not done; and
    those that begin, by the file of the instance that they begin with.
    """
    first = {arrival.header.study_instance_uid: arrival for arrival in reversed(fresh)}
    work = {arrival.header.study_instance_uid for arrival in fresh if not is_ours(arrival.header)}
    rows = [study_row(uid, one.header.attributes, one.owner, now) for uid, one in sorted(first.items())]
    database.insert_new(connection, studies, rows)
    # In order, so that two replicas that record the same studies wait for one another instead of for ever.
    query = sa.select(studies).where(studies.c.study_uid.in_(sorted(first))).order_by(studies.c.study_uid)
    locked = connection.execute(query.with_for_update()).all()
    holders = {study.study_uid: Holder.from_row(study) for study in locked}
    joining = [one for one in fresh if one.header.sop_instance_uid not in changes.replaced]
    if any(holders[one.header.study_instance_uid].refuses(one.owner, one.patient) for one in joining):
        raise HeldByAnother
    if not changes.are_current():
        raise HeldByAnother
    changes.apply(locked, now)
    # A job that is over takes no instance, although its study still names it: it would be acknowledged and never read.
    named = sa.select(jobs.c.id).where(jobs.c.id.in_([study.job for study in locked]), jobs.c.state.in_(OPEN))
    going = set(connection.execute(named).scalars())
    done = _done(connection, [study.study_uid for study in locked if study.study_uid not in new])
    open_jobs: dict[str, str | None] = {}
    opened: dict[str, str] = {}
    for study in locked:
        uid = study.study_uid
        open_jobs[uid] = study.job if study.job in going else None
        if uid not in work or (uid in done and open_jobs[uid] is None):
            continue
        if open_jobs[uid] is None:
            revision = study.revision + 1
            # Random: a UID is made of a root, a date and a counter, and would be found again by its hash.
            identity = open_jobs[uid] = opened[first[uid].file] = secrets.token_hex(16)
            connection.execute(sa.insert(jobs), [job_row(identity, uid, revision, now)])
            connection.execute(
                sa.update(studies).where(studies.c.study_uid == uid).values(job=identity, revision=revision)
            )
            enqueue(connection, identity, first[uid].trace)
        else:
            connection.execute(sa.update(jobs).where(jobs.c.id == study.job).values(last_received=now))
    return open_jobs, opened


def _done(connection: sa.Connection, uids: Sequence[str]) -> set[str]:
    """Those of the studies whose latest job is done."""
    latest = sa.and_(jobs.c.study_uid == studies.c.study_uid, jobs.c.revision == studies.c.revision)
    query = sa.select(studies.c.study_uid).join(jobs, latest)
    wanted = query.where(studies.c.study_uid.in_(uids), jobs.c.state == JobState.DONE)
    return set(connection.execute(wanted).scalars()) if uids else set()


def _row(arrival: Arrival, open_jobs: dict[str, str | None], states: dict[str, Any], now: float) -> dict[str, Any]:
    return {
        **instance_row(arrival.header, arrival.file, arrival.sha256, arrival.bytes),
        "origin": "ours" if is_ours(arrival.header) else "input",
        "sender": arrival.sender[:64],
        "job": open_jobs[arrival.header.study_instance_uid],
        "received": now,
        "character_set": arrival.header.character_set,
        "states": states.get(arrival.header.sop_instance_uid),
    }
