"""Instances that are kept apart: another tenant's UID, or another patient's image from another sender.

They are taken, since nothing that a scanner hands over may be lost, and never get into a study or a report.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from app.dicom.attributes import whole_of
from app.dicom.patient import Patient
from app.dicom.status import Receipt, WarningReason
from app.settings import DEFAULT_TENANT, OnChange
from app.store.arrivals import Arrival, is_ours, receipt_of
from app.store.owners import Owner
from app.store.records import Apart
from app.store.tables import apart, studies


@dataclass(frozen=True)
class Holder:
    """Whose a study is, and which patient's."""

    owner: Owner
    patient: Patient

    @classmethod
    def from_row(cls, row: Any) -> "Holder":
        """That of a row of studies."""
        return cls(Owner(row.owner, row.tenant or DEFAULT_TENANT), Patient.from_attributes(row.attributes))

    def is_foreign(self, owner: Owner) -> bool:
        """Whether another sender holds the study, as far as both are known."""
        return None not in (self.owner.id, owner.id) and self.owner.id != owner.id

    def refuses(self, owner: Owner, patient: Patient) -> Apart | None:
        """Why an instance that names the study is to be kept apart; None where it belongs there."""
        if self.owner.tenant != owner.tenant:
            return Apart.OTHER_TENANT
        # Of another sender a header has to show that it is the same patient: one without an ID or a name would get into
        # anybody's study, and the report of whoever's image came next to its sender.
        return Apart.OTHER_PATIENT if self.is_foreign(owner) and not self.patient.is_surely(patient) else None


def holders_of(connection: sa.Connection, uids: Iterable[str]) -> dict[str, Holder]:
    """The holders of studies that are there, by Study Instance UID."""
    query = sa.select(studies.c.study_uid, studies.c.owner, studies.c.tenant, studies.c.attributes)
    rows = connection.execute(query.where(studies.c.study_uid.in_(list(uids))))
    return {row.study_uid: Holder.from_row(row) for row in rows}


def already_apart(connection: sa.Connection, uids: Iterable[str]) -> set[tuple[str, str, str]]:
    """Tenant, SOP Instance UID and SHA-256 of what is kept apart already."""
    query = sa.select(apart.c.tenant, apart.c.sop_instance_uid, apart.c.sha256)
    found = connection.execute(query.where(apart.c.sop_instance_uid.in_(list(uids))))
    return {(row.tenant, row.sop_instance_uid, row.sha256) for row in found}


_CONFLICT = "Stored, but the study holds another patient's images: no report is written."
_APART = {
    Apart.OTHER_PATIENT: "Kept apart, not reported on: another sender's study of another patient has this UID.",
    Apart.OTHER_TENANT: "Kept apart, not reported on: its UIDs are in use.",
    Apart.UID_TAKEN: "Kept apart, not reported on: another patient's instance has this UID.",
}


def receipt_of_apart(arrival: Arrival, reason: Apart) -> Receipt:
    """The receipt of an arrival that is kept apart."""
    return replace(receipt_of(arrival), warning=WarningReason.KEPT_APART, detail=_APART[reason])


class Foreign:
    """Tells arrivals that are to be kept apart, by the studies that there are and those that this batch begins."""

    def __init__(
        self, connection: sa.Connection, arrivals: Sequence[Arrival], rows: Sequence[Any], policy: OnChange
    ) -> None:
        self._policy = policy
        named = {arrival.header.study_instance_uid for arrival in arrivals}
        self._holders = holders_of(connection, named | {row.study_uid for row in rows})
        self._rows = {row.sop_instance_uid: row for row in rows}
        self._apart = already_apart(connection, [arrival.header.sop_instance_uid for arrival in arrivals])

    def reason(self, arrival: Arrival) -> Apart | None:
        """Why an arrival is to be kept apart; None where it is not."""
        row = self._rows.get(arrival.header.sop_instance_uid)
        if row is not None:
            if is_ours(arrival.header) and row.origin == "result":
                return None  # whoever sends back what was written here: nothing of it is taken
            holder = self._holders.get(row.study_uid)
            refused = holder.refuses(arrival.owner, arrival.patient) if holder else None
            if refused is Apart.OTHER_TENANT:
                return refused
            mine = row.origin == "input" and row.study_uid == arrival.header.study_instance_uid
            if refused is not None and self._policy == "replace" and mine:
                return None  # a patient's merge comes from the PACS, whoever sent the instance first
            if refused is not None and row.sha256 != arrival.sha256:
                return Apart.UID_TAKEN
        holder = self._holders.get(arrival.header.study_instance_uid)
        return holder.refuses(arrival.owner, arrival.patient) if holder else None

    def admit(self, arrival: Arrival, receipt: Receipt) -> Receipt:
        """Let an arrival into its study; the receipt warns where its sender has put two patients into one."""
        new = Holder(arrival.owner, arrival.patient)
        holder = self._holders.setdefault(arrival.header.study_instance_uid, new)
        if not holder.patient.is_another(new.patient):
            return receipt
        return replace(receipt, warning=WarningReason.PATIENT_CONFLICT, detail=_CONFLICT)

    def is_new(self, arrival: Arrival) -> bool:
        """Whether an arrival is not kept apart already; from then on it is."""
        key = (arrival.owner.tenant, arrival.header.sop_instance_uid, arrival.sha256)
        is_new = key not in self._apart
        self._apart.add(key)
        return is_new


def apart_row(arrival: Arrival, reason: Apart, now: float) -> Mapping[str, Any]:
    """The row of an instance that is kept apart."""
    return {
        "id": uuid.uuid4().hex,
        "reason": reason,
        "study_uid": arrival.header.study_instance_uid,
        "sop_instance_uid": arrival.header.sop_instance_uid,
        "patient_id": whole_of(arrival.header.attributes, "00100020"),
        "transfer_syntax_uid": arrival.header.transfer_syntax_uid,
        "sha256": arrival.sha256,
        "bytes": arrival.bytes,
        "file": arrival.file,
        "sender": arrival.sender[:64],
        "owner": arrival.owner.id,
        "tenant": arrival.owner.tenant,
        "received": now,
    }


def all_apart(connection: sa.Connection) -> Sequence[sa.Row[Any]]:
    """Everything that is kept apart, oldest first."""
    rows: Sequence[sa.Row[Any]] = connection.execute(sa.select(apart).order_by(apart.c.received)).all()
    return rows
