"""Running a job's steps: under DBOS, timed, with the job's own failures as results, and patient with what passes."""

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog
from dbos import DBOS

from app.errors import Conflict
from app.store.jobs import Jobs
from app.telemetry import tracing

T = TypeVar("T")
log = structlog.get_logger(__name__)

_RETRY_SECONDS = 2.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class JobFailed(Exception):
    """The job cannot succeed; `reason` (code and detail, without patient data) says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = {"code": code, "detail": detail}


def _passes(error: Exception) -> bool:
    """Whether somebody mends it while the study waits: a disk without room, a database that cannot be used."""
    return isinstance(error, sa.exc.OperationalError) or (isinstance(error, OSError) and error.errno in _NO_ROOM)


async def patiently(work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """The result of `work`, which is begun again for as long as the disk is full or the database gone.

    A workflow that raised such an error would be over, and its study would wait for good.
    """
    waited = False
    while True:
        try:
            result = await work(*arguments)
        except Exception as error:
            if not _passes(error):
                raise
            if not waited:
                log.error("a study waits for its disk or database", cause=type(error).__name__)
            waited = True
        else:
            if waited:
                log.info("the study goes on")
            return result
        await asyncio.sleep(_RETRY_SECONDS)


async def run_step(jobs: Jobs, job_id: str, name: str, work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """Run `work(job_id, *arguments)` as a checkpointed step and note its time. Its result has to be JSON.

    Raises JobFailed, and Conflict where the job was cancelled. Inside the step they are results, since DBOS would log
    and keep them as defects.
    """

    async def timed() -> dict[str, Any]:
        started, clock = time.time(), time.perf_counter()
        try:
            result: dict[str, Any] = {"value": await patiently(work, job_id, *arguments)}
        except JobFailed as failure:
            result = {"reason": failure.reason}
        except Conflict:
            return {"cancelled": True}
        seconds = time.perf_counter() - clock
        await patiently(asyncio.to_thread, jobs.add_step, job_id, name, started, seconds)
        return result

    with tracing.span(f"study.{name.partition(':')[0]}"), structlog.contextvars.bound_contextvars(job=job_id):
        outcome = await DBOS.run_step_async({"name": name}, timed)
    if "reason" in outcome:
        raise JobFailed(**outcome["reason"])
    if "cancelled" in outcome:
        raise Conflict("The job was cancelled.")
    value: T = outcome["value"]
    return value
