"""The transitions of a job as two tables: what an operator may do to it, and what its workflow may."""

from collections.abc import Mapping

from app.store.records import OPEN, JobState

# From a state to those that it may become, by who moves it. An operator cancels what is open and retries what is over.
OPERATOR: Mapping[JobState, frozenset[JobState]] = {
    **dict.fromkeys(OPEN, frozenset({JobState.CANCELLED})),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset({JobState.WAITING, JobState.DELIVERING}),
    JobState.CANCELLED: frozenset({JobState.WAITING, JobState.DELIVERING}),
}
# A step that is repeated after a kill enters the state it left. A workflow never leaves CANCELLED.
WORKFLOW: Mapping[JobState, frozenset[JobState]] = {
    JobState.RECEIVED: frozenset({JobState.WAITING, JobState.FAILED}),
    JobState.WAITING: frozenset({JobState.WAITING, JobState.RUNNING, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.RUNNING, JobState.DELIVERING, JobState.DONE, JobState.FAILED}),
    JobState.DELIVERING: frozenset({JobState.DELIVERING, JobState.DONE, JobState.FAILED}),
    JobState.DONE: frozenset({JobState.DONE}),
    JobState.FAILED: frozenset({JobState.FAILED}),
    JobState.CANCELLED: frozenset(),
}


def before(table: Mapping[JobState, frozenset[JobState]], state: JobState) -> list[JobState]:
    """The states from which `table` lets `state` be entered."""
    return [earlier for earlier, after in table.items() if state in after]
