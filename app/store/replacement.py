"""What becomes of an instance that arrives as another state of the one that is held.

It may be a correction or a mistake. What is replaced is kept apart for a while: it was acknowledged, and a sender that
repeats it is not to undo a correction.
"""

import uuid
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from app.dicom.attributes import whole_of
from app.dicom.likeness import Likeness
from app.dicom.patient import Patient
from app.settings import OnChange
from app.store.arrivals import Arrival, ToCompare
from app.store.owners import Owner
from app.store.records import Apart, States
from app.store.rows import STUDY_TAGS, study_row
from app.store.spool import Spool
from app.store.tables import apart, instances, studies

_OTHER_CONTENT = "The UID is held already, with other content."
_OTHER_STUDY = "The UID is held already, in another study; delete it there first."
_OTHER_PATIENT = "The UID is held already, for another patient."
_UNREADABLE = "The UID is held already, and this cannot be compared with it."
# What a study says of its patient and of itself, by the columns that follow from its attributes.
_DESCRIBED = ("patient_id", "patient_name", "study_date", "accession_number", "attributes")
_DOUBTFUL = "The UID is held already, and this is lossy and differs more than a copy does."
_REFUSED = {Likeness.UNREADABLE: _UNREADABLE, Likeness.DOUBTFUL: _DOUBTFUL}
# States that are remembered: digests of some hundred bytes each.
_MOST_STATES = 64


class Changes:
    """The rows that changed instances are to replace, and whether they may."""

    def __init__(self, connection: sa.Connection, policy: OnChange, arrivals: Sequence[Arrival]) -> None:
        self._policy = policy
        self._connection = connection
        changed = [one.header.sop_instance_uid for one in arrivals if one.compared is not None]
        query = sa.select(instances).where(instances.c.sop_instance_uid.in_(changed))
        self._rows = {row.sop_instance_uid: row for row in connection.execute(query)} if changed else {}
        self._replaced: dict[str, Arrival] = {}

    def to_compare(self, uid: str) -> ToCompare | None:
        """What to compare an arrival with; None where that is in the same batch, and not recorded yet."""
        row = self._connection.execute(sa.select(instances).where(instances.c.sop_instance_uid == uid)).one_or_none()
        if row is None or uid in self._replaced:
            return None
        return ToCompare(row, row.character_set is not None, States.from_json(row.states or {}))

    def refusal(self, arrival: Arrival) -> str | None:
        """Why an arrival that is another state of what is held may not take its place; None where it may."""
        row = self._rows.get(arrival.header.sop_instance_uid)
        likeness = arrival.compared.likeness if arrival.compared else Likeness.CHANGED
        if likeness in _REFUSED:
            return _REFUSED[likeness]
        if row is None or row.origin == "result" or self._policy == "keep":
            return _OTHER_CONTENT
        if row.study_uid != arrival.header.study_instance_uid:
            return _OTHER_STUDY
        if self._policy == "replace_same_patient" and Patient.from_attributes(row.attributes).is_another(
            arrival.patient
        ):
            return _OTHER_PATIENT
        return None

    def replace(self, arrival: Arrival) -> None:
        """Let an arrival take the place of what is held."""
        self._replaced[arrival.header.sop_instance_uid] = arrival

    def states(self, uids: Sequence[str]) -> dict[str, Any]:
        """What is to be remembered of the states of instances that take a place, as their column holds it."""
        if not uids:
            return {}
        query = sa.select(instances.c.sop_instance_uid, instances.c.states).where(
            instances.c.sop_instance_uid.in_(uids)
        )
        found = {}
        for row in self._connection.execute(query):
            earlier = list(States.from_json(row.states or {}).earlier)
            arrival = self._replaced.get(row.sop_instance_uid)
            if arrival is not None and arrival.compared is not None and arrival.compared.facts is not None:
                earlier.append(arrival.compared.facts)
            if earlier:
                found[row.sop_instance_uid] = asdict(States(earlier[-_MOST_STATES:]))
        return found

    @property
    def replaced(self) -> Set[str]:
        """SOP Instance UIDs of what is replaced."""
        return self._replaced.keys()

    def are_current(self) -> bool:
        """Whether what is to be replaced is still what was compared; asked once its studies are locked."""
        if not self._replaced:
            return True
        table = instances.c
        query = sa.select(table.sop_instance_uid, table.sha256).where(table.sop_instance_uid.in_(list(self._replaced)))
        now = {row.sop_instance_uid: row.sha256 for row in self._connection.execute(query)}
        return all(now.get(uid) == self._rows[uid].sha256 for uid in self._replaced)

    def apply(self, locked: Sequence[Any], now: float) -> None:
        """Keep what is replaced apart, and let the studies, which are locked, say what was corrected."""
        rows = [self._rows[uid] for uid, one in self._replaced.items() if one.compared and one.compared.was_whole]
        owners = {row.study_uid: Owner(row.owner, row.tenant) for row in locked}
        if kept := [_apart_row(row, owners[row.study_uid], now) for row in rows]:
            self._connection.execute(sa.insert(apart), kept)
        described = {row.study_uid: dict(row.attributes) for row in locked}
        for uid, arrival in self._replaced.items():
            study, before, after = self._rows[uid].study_uid, self._rows[uid].attributes, arrival.header.attributes
            if _correct(described[study], before, after):
                fresh = study_row(study, described[study], owners[study], now)
                values = {column: fresh[column] for column in _DESCRIBED}
                self._connection.execute(sa.update(studies).where(studies.c.study_uid == study).values(values))


def _correct(study: dict[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Take into a study's attributes what an instance says otherwise than before; returns whether it does."""
    changed = [tag for tag in STUDY_TAGS if before.get(tag) != after.get(tag)]
    for tag in changed:
        study.pop(tag, None)
        if tag in after:
            study[tag] = after[tag]
    return bool(changed)


def _apart_row(row: Any, owner: Owner, now: float) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex,
        "reason": Apart.REPLACED,
        "study_uid": row.study_uid,
        "sop_instance_uid": row.sop_instance_uid,
        "patient_id": whole_of(row.attributes, "00100020"),
        "transfer_syntax_uid": row.transfer_syntax_uid,
        "sha256": row.sha256,
        "bytes": row.bytes,
        "file": row.file,
        "sender": row.sender,
        "owner": owner.id,
        "tenant": owner.tenant,
        "received": now,
    }


def erase_replaced(connection: sa.Connection, spool: Spool, uids: Sequence[str]) -> int:
    """Remove what those instances have replaced; returns how many that were. Raises OSError."""
    mine = (apart.c.reason == Apart.REPLACED, apart.c.sop_instance_uid.in_(uids))
    rows = connection.execute(sa.select(apart).where(*mine)).all()
    for row in rows:
        spool.path(row.file).unlink(missing_ok=True)
    connection.execute(sa.delete(apart).where(apart.c.id.in_([row.id for row in rows])))
    return len(rows)
