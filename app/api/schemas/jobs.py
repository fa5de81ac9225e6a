"""Wire models of study jobs."""

from typing import Literal, Self

from pydantic import Field

from app.api.schemas.common import NOTICE, WireModel
from app.api.schemas.findings import AbnormalBody, FindingCodeBody
from app.api.schemas.reports import ReportText
from app.dicom.probabilities import FindingProbability, Priority
from app.store.job_states import JobState


class ReasonBody(WireModel):
    """Why a job has failed, or is done without a report of its own."""

    code: str
    detail: str


class StepBody(WireModel):
    """A finished step and how long it took."""

    name: str
    started: float = Field(description="seconds since the epoch")
    ms: float


class SkippedBody(WireModel):
    """An instance that was not read."""

    sop_instance_uid: str
    code: str
    detail: str


class DeliveryBody(WireModel):
    """How far the documents have come with one destination."""

    destination: str
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    error: str | None


class JobFindingItem(WireModel):
    """A finding of the study's image that the bundle declares."""

    name: str
    code: FindingCodeBody
    question: str = Field(description="what the model was asked")
    probability: float = Field(description="of yes to the question, that is of the finding")
    calibrated: bool

    @classmethod
    def from_stored(cls, finding: FindingProbability) -> Self:
        """A finding as the job keeps it."""
        return cls(**{**vars(finding), "code": FindingCodeBody(**vars(finding.code))})


class JobItem(WireModel):
    """A job in a list. Who may not read reports gets neither its priority nor how probable abnormal is."""

    id: str
    object: Literal["job"] = "job"
    study_instance_uid: str
    revision: int = Field(description="instances that arrive after the first report start another")
    state: JobState
    reason: ReasonBody | None
    priority: Priority | None = Field(
        description="HL7 request priority by the thresholds of the service; null where none is given"
    )
    abnormal: AbnormalBody | None = Field(description="null where it is not known")
    created: float = Field(description="seconds since the epoch")
    updated: float


class JobBody(JobItem):
    """A job with everything about it."""

    attempts: int
    steps: list[StepBody]
    skipped: list[SkippedBody]
    image: str | None = Field(description="SOP Instance UID of the image that was read")
    warnings: list[str]
    report: ReportText | None
    findings: list[JobFindingItem] = Field(description="of the image that was read, in the bundle's order")
    doubt: float | None = Field(description="of the report, 0 to 1; null where no samples were drawn")
    model: str | None
    documents: list[str] = Field(description="SOP Instance UIDs of what was written")
    deliveries: list[DeliveryBody]
    notice: str = NOTICE


class JobList(WireModel):
    """A page of jobs, newest first or by priority."""

    object: Literal["list"] = "list"
    data: list[JobItem]
    total: int
