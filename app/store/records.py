"""What rows of the database hold, as types: a job and its states, and the contents of its JSON columns (`record`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import sqlalchemy as sa

from app.store.findings import StoredFindings
from app.store.job_states import Begin, JobState
from app.store.record import Record, known
from models.agreement import LOW_AGREEMENT

# Code of the reason of a job whose written documents are missing or damaged: a retry writes them again.
DOCUMENT_LOST = "document_lost"
_CUT = "The report was cut at its longest length; what follows is missing."


@dataclass(frozen=True)
class Reason(Record):
    """Why a job has failed, or is done without a report of its own; no patient data."""

    code: str
    detail: str


@dataclass(frozen=True)
class Step(Record):
    """A finished step: its start in seconds since the epoch, its length in milliseconds."""

    name: str
    started: float
    ms: float


@dataclass(frozen=True)
class Skipped(Record):
    """An instance that was not read, and why."""

    sop_instance_uid: str
    code: str
    detail: str


@dataclass(frozen=True)
class ReadImage(Record):
    """The image that was read: its codes (one a grid cell, row by row), its size in pixels, the digests of its file and
    of its data set, which is empty where a release before read it.
    """

    sop_instance_uid: str
    codes: Sequence[int]
    warnings: Sequence[str]
    width: int
    height: int
    sha256: str
    data_set_sha256: str = ""


@dataclass(frozen=True)
class StoredReport(Record):
    """A generated report. `key` identifies study, image and bundle; `created` is ISO 8601 in UTC.

    `doubt` is None where no samples were drawn; `doubted` where it was above the limit. `review` says whether a person
    has to release the report, or has.
    """

    key: str
    text: str
    findings: str | None
    impression: str | None
    finish_reason: str
    seed: int
    model: str
    bundle_sha256: str
    created: str
    doubt: float | None = None
    doubted: bool = False
    review: Literal["none", "held", "released"] = "none"


@dataclass(frozen=True)
class Job:
    """One revision of a study; a row of `cxr_jobs`. Times are seconds since the epoch, by the database's clock."""

    id: str
    study_uid: str
    revision: int
    state: JobState
    runs: int
    attempts: int
    created: float
    updated: float
    last_received: float
    reason: Reason | None
    steps: Sequence[Step]
    skipped: Sequence[Skipped]
    image: ReadImage | None
    report: StoredReport | None
    documents: Sequence[str]
    findings: StoredFindings | None = None

    @property
    def begins_with(self) -> Begin:
        """What another run of it begins with: documents whose files are lost are written again."""
        if self.documents and (self.reason is None or self.reason.code != DOCUMENT_LOST):
            return Begin.DELIVER
        released = self.report is not None and self.report.review == "released"
        return Begin.WRITE if released else Begin.READ

    @property
    def warnings(self) -> Sequence[str]:
        """What was doubted of the image that was read, of the report's text, and of the priority."""
        report = self.report
        cut = (_CUT,) if report is not None and report.finish_reason == "length" else ()
        doubted = (LOW_AGREEMENT,) if report is not None and report.doubted else ()
        priority = () if self.findings is None else self.findings.warnings
        return (*(self.image.warnings if self.image else ()), *cut, *doubted, *priority)

    @classmethod
    def from_row(cls, row: sa.Row[Any]) -> "Job":
        """The job that a row holds."""
        values = known(cls, dict(row._mapping))
        return cls(
            **{
                **values,
                "state": JobState(values["state"]),
                "reason": None if values["reason"] is None else Reason.from_json(values["reason"]),
                "steps": [Step.from_json(item) for item in values["steps"]],
                "skipped": [Skipped.from_json(item) for item in values["skipped"]],
                "image": None if values["image"] is None else ReadImage.from_json(values["image"]),
                "report": None if values["report"] is None else StoredReport.from_json(values["report"]),
                "findings": None if values["findings"] is None else StoredFindings.from_json(values["findings"]),
            }
        )


@dataclass(frozen=True)
class Run:
    """One run of a job: its first, or one that an operator asked for. What another run writes is refused."""

    job_id: str
    number: int

    @property
    def read_workflow(self) -> str:
        """Id of the workflow that reads the study in this run."""
        return self.job_id if self.number == 1 else f"{self.job_id}-{self.number}"

    @property
    def delivery_workflow(self) -> str:
        """Id of the workflow that delivers the documents in this run."""
        return f"{self.job_id}-{self.number}-deliver"

    @classmethod
    def from_workflow(cls, workflow_id: str) -> "Run":
        """The run that a workflow belongs to, by the workflow's id."""
        job_id, _, number = workflow_id.removesuffix("-deliver").partition("-")
        return cls(job_id, int(number or 1))


@dataclass(frozen=True)
class Delivery:
    """How far a job's documents have come with one destination: pending, delivered or failed."""

    destination: str
    state: str
    attempts: int
    error: str | None
    updated: float


@dataclass(frozen=True)
class HeldInstance:
    """A received instance as far as a report needs it; `file` is None once retention has removed it."""

    sop_instance_uid: str
    sop_class_uid: str
    attributes: Mapping[str, Any]
    transfer_syntax_uid: str
    sha256: str
    file: str | None
    received: float


@dataclass(frozen=True)
class States(Record):
    """What is known of an instance's states, as `app/imaging/likeness.py` tells them: of those that it has replaced,
    and of the present one once its file is removed.
    """

    earlier: Sequence[Mapping[str, Any]] = ()
    removed: Mapping[str, Any] | None = None


class Apart(StrEnum):
    """Why an instance was kept apart. The values are names in the database, in logs and in metrics."""

    # Of the study that its header names, by another sender.
    OTHER_PATIENT = "other_patient"
    # The study, or the SOP Instance UID, is another tenant's.
    OTHER_TENANT = "other_tenant"
    # The SOP Instance UID is held for another patient, from another sender.
    UID_TAKEN = "uid_taken"
    # It was held, and a later state of the same instance has taken its place.
    REPLACED = "replaced"


@dataclass(frozen=True)
class JobCounts:
    """Jobs by state, and the age in seconds of the oldest one that is open (None where none is)."""

    by_state: Mapping[str, int]
    oldest_seconds: float | None
