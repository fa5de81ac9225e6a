"""What arrives: an instance whose file is durable, and the receipt of what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.dicom.attributes import whole_of
from app.dicom.equipment import MANUFACTURER
from app.dicom.header import Header
from app.dicom.likeness import Likeness
from app.dicom.patient import Patient
from app.dicom.status import FailureReason, Receipt, WarningReason
from app.store.integrity import Held
from app.store.owners import NOBODY, Owner
from app.store.records import States


@dataclass(frozen=True)
class Compared:
    """How an arrival is like what was held under its UID with the digest `sha256`. `was_whole` tells whether that could
    be read: its file `file` may be damaged or gone, or removed (None). `facts` are what it meant.
    """

    sha256: str
    likeness: Likeness
    was_whole: bool = True
    file: str | None = None
    facts: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ToCompare:
    """What an arrival has to be compared with before it can be recorded: what is held, whether its character set was
    put right here, and what is known of its states.
    """

    held: Held
    put_right: bool
    states: States


@dataclass(frozen=True)
class Arrival:
    """An instance whose file is synced: its header, its name in the spool, its sender and the trace of its arrival, and
    how it is like what is held under its UID, once that is known.
    """

    header: Header
    file: str
    sha256: str
    bytes: int
    sender: str
    owner: Owner = NOBODY
    trace: str | None = None
    compared: Compared | None = None
    character_set: str | None = None

    @property
    def patient(self) -> Patient:
        """Whom its header tells of."""
        return Patient.from_attributes(self.header.attributes)


_DETAILS: dict[WarningReason | None, str] = {
    WarningReason.LEADING_ZERO: "A component of a UID has a leading zero (PS3.5 9.1).",
    WarningReason.SUPERSEDED: "A later state of the instance is held, and stays.",
}


def is_ours(header: Header) -> bool:
    """Whether this service wrote the instance: it comes back from a PACS and is not to be read again."""
    return header.manufacturer == MANUFACTURER


def receipt_of(arrival: Arrival, refusal: str = "") -> Receipt:
    """The receipt of an arrival that was looked at; `refusal` says why its UID is held by another instance."""
    header, likeness = arrival.header, arrival.compared.likeness if arrival.compared else None
    warning = WarningReason.SUPERSEDED if likeness is Likeness.EARLIER else header.warning
    return Receipt(
        header.sop_class_uid,
        header.sop_instance_uid,
        header.study_instance_uid,
        header.series_instance_uid,
        FailureReason.DUPLICATE_INSTANCE if refusal else None,
        None if refusal else warning,
        refusal or _DETAILS.get(warning, ""),
        likeness=likeness,
        patient_id=whole_of(header.attributes, "00100020"),
    )
