"""Wire models of study jobs."""

from typing import Literal

from pydantic import Field

from app.api.schemas.common import NOTICE, WireModel
from app.api.schemas.reports import ReportText
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


class JobItem(WireModel):
    """A job in a list."""

    id: str
    object: Literal["job"] = "job"
    study_instance_uid: str
    revision: int = Field(description="instances that arrive after the first report start another")
    state: JobState
    reason: ReasonBody | None
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
    doubt: float | None = Field(description="of the report, 0 to 1; null where no samples were drawn")
    model: str | None
    documents: list[str] = Field(description="SOP Instance UIDs of what was written")
    deliveries: list[DeliveryBody]
    notice: str = NOTICE


class JobList(WireModel):
    """A page of jobs, newest first."""

    object: Literal["list"] = "list"
    data: list[JobItem]
    total: int
