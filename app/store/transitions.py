"""The transitions of a job as two tables: what an operator may do to it, and what its workflow may."""

from collections.abc import Mapping

from app.store.job_states import OPEN, Begin, JobState

_AGAIN = frozenset(begin.state for begin in Begin)
# From a state to those that it may become, by who moves it. An operator cancels what is open, releases what is in
# review and retries what is over.
OPERATOR: Mapping[JobState, frozenset[JobState]] = {
    **dict.fromkeys(OPEN, frozenset({JobState.CANCELLED})),
    JobState.REVIEW: frozenset({JobState.CANCELLED, Begin.WRITE.state}),
    JobState.DONE: frozenset(),
    JobState.FAILED: _AGAIN,
    JobState.CANCELLED: _AGAIN,
}
# A step that is repeated after a kill enters the state it left. A workflow never leaves CANCELLED.
WORKFLOW: Mapping[JobState, frozenset[JobState]] = {
    JobState.RECEIVED: frozenset({JobState.WAITING, JobState.FAILED}),
    JobState.WAITING: frozenset({JobState.WAITING, JobState.RUNNING, JobState.FAILED}),
    JobState.RUNNING: frozenset(
        {JobState.RUNNING, JobState.REVIEW, JobState.DELIVERING, JobState.DONE, JobState.FAILED}
    ),
    JobState.REVIEW: frozenset({JobState.REVIEW}),
    JobState.DELIVERING: frozenset({JobState.DELIVERING, JobState.DONE, JobState.FAILED}),
    JobState.DONE: frozenset({JobState.DONE}),
    JobState.FAILED: frozenset({JobState.FAILED}),
    JobState.CANCELLED: frozenset(),
}


def before(table: Mapping[JobState, frozenset[JobState]], state: JobState) -> list[JobState]:
    """The states from which `table` lets `state` be entered."""
    return [earlier for earlier, after in table.items() if state in after]
