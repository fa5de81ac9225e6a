"""The steps of a job: checkpointed by DBOS, timed, cancelled with their job, retried where the cause passes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
from dbos import DBOS

from app.delivery.backoff import backoff_seconds
from app.errors import Conflict
from app.jobs.cancellation import CancellationWatch
from app.store.jobs import Jobs
from app.store.records import Reason, Run, Step
from app.store.transient import is_transient
from app.telemetry import tracing

T = TypeVar("T")
log = structlog.get_logger(__name__)

_RETRY_SECONDS, _MOST_RETRY_SECONDS = 2.0, 30.0
_DEFECT = Reason("internal_error", "A step failed for a reason inside the service; its log names the job.")


class JobFailed(Exception):
    """The job cannot succeed; `reason` (code and detail, without patient data) says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = Reason(code, detail)


async def retry_transient(work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """The result of `work`, retried with backoff while its error is one that passes; other errors are raised.

    A workflow that raised such an error would be over, and its study would wait for good.
    """
    failures = 0
    while True:
        try:
            result = await work(*arguments)
        except Exception as error:
            if not is_transient(error):
                raise
            failures += 1
            if failures == 1:
                log.error("a study waits for its disk or database", cause=type(error).__name__)
        else:
            if failures:
                log.info("the study goes on")
            return result
        await asyncio.sleep(backoff_seconds(failures, _RETRY_SECONDS, _MOST_RETRY_SECONDS))


class StepRunner:
    """Runs the steps of every job."""

    def __init__(self, jobs: Jobs, watch: CancellationWatch) -> None:
        self._jobs = jobs
        self._watch = watch

    async def run(
        self, run: Run, name: str, work: Callable[..., Coroutine[Any, Any, T]], *arguments: Any, guarded: bool = True
    ) -> T:
        """Run `work(run, *arguments)` as a checkpointed step and note its time. Its result has to be JSON.

        Raises JobFailed, and Conflict where the job was cancelled or run again meanwhile, which ends a `guarded` step.
        Inside the step they are results, since DBOS would log and keep them as defects. An unexpected error fails the
        job: a workflow that raised it would leave its study open for good.
        """

        async def timed() -> dict[str, Any]:
            started, clock = time.time(), time.perf_counter()
            attempt = retry_transient(work, run, *arguments)
            try:
                value = await (self._watch.guard(run, attempt) if guarded else attempt)
                step = Step(name, started, round((time.perf_counter() - clock) * 1000.0, 1))
                await retry_transient(self._jobs.add_step, run, step)
            except JobFailed as failure:
                return {"reason": {"code": failure.reason.code, "detail": failure.reason.detail}}
            except Conflict:
                return {"cancelled": True}
            except Exception as error:
                log.error("a step failed", step=name, exc_info=error)
                return {"reason": {"code": _DEFECT.code, "detail": _DEFECT.detail}}
            return {"value": value}

        label = f"study.{name.partition(':')[0]}"
        with tracing.span(label), structlog.contextvars.bound_contextvars(job=run.job_id):
            outcome = await DBOS.run_step_async({"name": name}, timed)
        if "reason" in outcome:
            raise JobFailed(**outcome["reason"])
        if "cancelled" in outcome:
            raise Conflict("The job was cancelled.")
        value: T = outcome["value"]
        return value
