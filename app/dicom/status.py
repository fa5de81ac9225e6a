"""What becomes of a received instance: its receipt, with the reasons of PS3.18 Annex I and PS3.4 B.2.3."""

from dataclasses import dataclass, field
from enum import IntEnum

from app.dicom.likeness import Likeness


class FailureReason(IntEnum):
    """Failure Reason (0008,1197), PS3.18 Table I.2-2; the same values are C-STORE statuses (PS3.4 Table B.2-1)."""

    PROCESSING_FAILURE = 0x0110
    DUPLICATE_INSTANCE = 0x0111  # PS3.7 C.5.8: the UID is held already, with other content
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    STUDY_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    TRANSFER_SYNTAX = 0xC122
    # More than a limit of ours allows. No code says so: `in_stow` and `in_dimse` are what is sent.
    OVER_LIMIT = 0x1C000

    @property
    def in_stow(self) -> int:
        """The value for a STOW-RS response."""
        return int(self.PROCESSING_FAILURE if self is self.OVER_LIMIT else self)

    @property
    def in_dimse(self) -> int:
        """The status of a C-STORE response."""
        return int(self.CANNOT_UNDERSTAND if self is self.OVER_LIMIT else self)


class WarningReason(IntEnum):
    """Warning Reason (0008,1196), PS3.18 Table I.2-1, and three of ours: every sender takes B0xx as a warning."""

    COERCED = 0xB000
    SOP_CLASS_MISMATCH = 0xB007
    # Stored in a study that holds another patient's images of the same sender.
    PATIENT_CONFLICT = 0xB0A0
    # Stored beside the study, not in it.
    KEPT_APART = 0xB0A1
    # Stored, with a UID that PS3.5 9.1 forbids.
    LEADING_ZERO = 0xB0A2
    # Not stored: a later state of the instance has replaced it.
    SUPERSEDED = 0xB0A3

    @property
    def in_dimse(self) -> int:
        """The status of a C-STORE response. Some PACS take none but those of PS3.4 Table B.2-1 for a warning."""
        return int(self if self in (self.COERCED, self.SOP_CLASS_MISMATCH) else self.COERCED)


MEANINGS: dict[FailureReason | WarningReason, str] = {
    FailureReason.PROCESSING_FAILURE: "it could not be stored; the log says why",
    FailureReason.DUPLICATE_INSTANCE: "the UID is held by another instance, or by a state of it that stays",
    FailureReason.SOP_CLASS_NOT_SUPPORTED: "the SOP class is no storage class",
    FailureReason.OUT_OF_RESOURCES: "the disk is full, the database is away, or the sender's quota is used",
    FailureReason.STUDY_MISMATCH: "it has another study, SOP Instance or SOP Class UID than its request or command",
    FailureReason.CANNOT_UNDERSTAND: "it is no DICOM instance, lacks a UID, or breaks off",
    FailureReason.TRANSFER_SYNTAX: "the transfer syntax is none of the standard, or not taken of this sender",
    FailureReason.OVER_LIMIT: "it has more elements, nesting or bytes than are taken",
    WarningReason.COERCED: "File Meta Information was added, or Specific Character Set put right",
    WarningReason.SOP_CLASS_MISMATCH: "File Meta Information and data set differ in the SOP class",
    WarningReason.PATIENT_CONFLICT: "its study holds another patient's images: no report is written",
    WarningReason.KEPT_APART: "it is kept apart, as its UIDs are another's: no report is written",
    WarningReason.LEADING_ZERO: "a component of a UID has a leading zero",
    WarningReason.SUPERSEDED: "a later state of the instance is held, and stays: it is not stored",
}

_OUTCOMES = {Likeness.LOSSY: "lossy_copy", Likeness.EARLIER: "superseded", Likeness.CHANGED: "replaced"}


@dataclass(frozen=True)
class Receipt:
    """The answer to one received instance.

    UIDs are None where the instance could not be read so far. `detail` is a sentence without patient data. A receipt
    without a failure is given only once the instance is durable and its study's work is enqueued. `busy` says that the
    cause of a failure passes: the same instance is taken later, or, where the sender's quota is used, after
    `retry_after` seconds. `likeness` is how it is like what was held under its UID, where the bytes differ.
    `opened` is the job that began with it, `patient_id` is for the audit log alone.
    """

    sop_class_uid: str | None
    sop_instance_uid: str | None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    failure: FailureReason | None = None
    warning: WarningReason | None = None
    detail: str = ""
    busy: bool = False
    retry_after: int | None = None
    likeness: Likeness | None = None
    opened: str | None = None
    patient_id: str = field(default="", repr=False)

    @property
    def outcome(self) -> str:
        """The outcome as a word for metrics and logs."""
        if self.failure is not None:
            return self.failure.name.lower()
        if self.warning is WarningReason.KEPT_APART:
            return "kept_apart"
        return "stored" if self.likeness is None else _OUTCOMES.get(self.likeness, "stored")
