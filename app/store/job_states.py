"""The states of a job, and what another run of it begins with."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is. The values are names on the wire, in metrics and in the database."""

    RECEIVED = "received"
    WAITING = "waiting"
    RUNNING = "running"
    # Its report waits for a person: no workflow works on it until it is released.
    REVIEW = "review"
    DELIVERING = "delivering"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
OPEN = frozenset(JobState) - FINAL
# What a workflow has to be at.
WORKED_ON = OPEN - {JobState.REVIEW}


class Begin(StrEnum):
    """What a run of a job begins with: reading its study, writing the report that was released, or delivering."""

    READ = "read"
    WRITE = "write"
    DELIVER = "deliver"

    @property
    def state(self) -> JobState:
        """The state of a job whose run begins so."""
        return {"read": JobState.WAITING, "write": JobState.RUNNING, "deliver": JobState.DELIVERING}[self.value]
