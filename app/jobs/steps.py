"""Running a job's steps: under DBOS, timed, with the job's own failures as results."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from dbos import DBOS

from app.errors import Conflict
from app.store.jobs import Jobs
from app.telemetry import tracing

T = TypeVar("T")


class JobFailed(Exception):
    """The job cannot succeed; `reason` (code and detail, without patient data) says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = {"code": code, "detail": detail}


async def run_step(jobs: Jobs, job_id: str, name: str, work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """Run `work(job_id, *arguments)` as a checkpointed step and note its time. Its result has to be JSON.

    Raises JobFailed, and Conflict where the job was cancelled. Inside the step they are results, since DBOS would log
    and keep them as defects.
    """

    async def timed() -> dict[str, Any]:
        started, clock = time.time(), time.perf_counter()
        try:
            result: dict[str, Any] = {"value": await work(job_id, *arguments)}
        except JobFailed as failure:
            result = {"reason": failure.reason}
        except Conflict:
            return {"cancelled": True}
        await asyncio.to_thread(jobs.add_step, job_id, name, started, time.perf_counter() - clock)
        return result

    with tracing.span(f"study.{name.partition(':')[0]}"), structlog.contextvars.bound_contextvars(job=job_id):
        outcome = await DBOS.run_step_async({"name": name}, timed)
    if "reason" in outcome:
        raise JobFailed(**outcome["reason"])
    if "cancelled" in outcome:
        raise Conflict("The job was cancelled.")
    value: T = outcome["value"]
    return value
