"""A job that an operator runs again: the tokens of its new report are set aside first."""

from app.ingest.study_tokens import Reserve, StudyTokens
from app.jobs.dbos import WorkflowEngine
from app.store.jobs import Jobs
from app.store.records import Job


async def run_again(job: Job, jobs: Jobs, engine: WorkflowEngine, tokens: StudyTokens, reserve: Reserve | None) -> None:
    """Run a failed or cancelled job again. Raises Conflict, and RateLimited where a new report has no tokens."""
    settle = None if job.delivers_only else tokens.set_aside(reserve)
    tokens.begin(job.id, job.runs + 1)
    try:
        await jobs.retry(job.id, engine.enqueue_retry)
    except BaseException:
        if settle is not None:
            settle(0)
        raise
    if settle is not None:
        tokens.hold(job.id, settle)
