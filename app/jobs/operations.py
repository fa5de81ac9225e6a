"""What an operator does to a job: cancel it, release its report from review, run it again."""

from app.ingest.study_tokens import Reserve, StudyTokens
from app.jobs.cancellation import CancellationWatch
from app.jobs.dbos import WorkflowEngine
from app.store.job_states import Begin
from app.store.jobs import Jobs
from app.store.owners import EVERYTHING, Viewer


class Operations:
    """Changes jobs that a viewer sees."""

    def __init__(self, jobs: Jobs, engine: WorkflowEngine, tokens: StudyTokens, watch: CancellationWatch) -> None:
        self._jobs = jobs
        self._engine = engine
        self._tokens = tokens
        self._watch = watch

    async def cancel(self, job_id: str, viewer: Viewer = EVERYTHING) -> None:
        """Cancel a job: the step under way is ended, nothing further is generated, written or delivered.

        Raises NotFound, Conflict.
        """
        await self._jobs.get(job_id, viewer)
        await self._jobs.cancel(job_id)
        await self._watch.look()

    async def release(self, job_id: str, viewer: Viewer = EVERYTHING) -> None:
        """Have the report of a job in review written and delivered as it stands. Raises NotFound, Conflict."""
        await self._jobs.get(job_id, viewer)
        await self._jobs.release(job_id, self._engine.enqueue_again)

    async def retry(self, job_id: str, viewer: Viewer = EVERYTHING, reserve: Reserve | None = None) -> None:
        """Run a failed or cancelled job again; `reserve` sets the tokens of a new report aside first.

        Raises NotFound, Conflict, and RateLimited where a new report has no tokens.
        """
        job = await self._jobs.get(job_id, viewer)
        settle = self._tokens.set_aside(reserve) if job.begins_with is Begin.READ else None
        self._tokens.begin(job.id, job.runs + 1)
        try:
            await self._jobs.retry(job.id, self._engine.enqueue_again)
        except BaseException:
            if settle is not None:
                settle(0)
            raise
        if settle is not None:
            self._tokens.hold(job.id, settle)
        await self._watch.look()
