"""What arrives: an instance whose file is durable, and the receipt of what becomes of it."""

from dataclasses import dataclass

from app.dicom.attributes import whole_of
from app.dicom.equipment import MANUFACTURER
from app.dicom.header import Header
from app.dicom.patient import Patient
from app.dicom.status import FailureReason, Receipt, WarningReason
from app.store.owners import NOBODY, Owner


@dataclass(frozen=True)
class Arrival:
    """An instance whose file is synced: its header, its name in the spool, its sender and the trace of its arrival."""

    header: Header
    file: str
    sha256: str
    bytes: int
    sender: str
    owner: Owner = NOBODY
    trace: str | None = None

    @property
    def patient(self) -> Patient:
        """Whom its header tells of."""
        return Patient.from_attributes(self.header.attributes)


_DETAILS: dict[WarningReason | None, str] = {
    WarningReason.LEADING_ZERO: "A component of a UID has a leading zero (PS3.5 9.1).",
}


def is_ours(header: Header) -> bool:
    """Whether this service wrote the instance: it comes back from a PACS and is not to be read again."""
    return header.manufacturer == MANUFACTURER


def receipt_of(arrival: Arrival, failure: FailureReason | None = None) -> Receipt:
    """The receipt of an arrival that was looked at."""
    header = arrival.header
    return Receipt(
        header.sop_class_uid,
        header.sop_instance_uid,
        header.study_instance_uid,
        header.series_instance_uid,
        failure,
        None if failure else header.warning,
        "The UID is held already, with other content." if failure else _DETAILS.get(header.warning, ""),
        patient_id=whole_of(header.attributes, "00100020"),
    )
