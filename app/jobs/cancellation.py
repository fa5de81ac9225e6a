"""Ends steps whose job was cancelled, or run again, wherever that was asked for: here or at another replica."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog

from app.errors import Conflict
from app.store.jobs import Jobs
from app.store.records import Run

T = TypeVar("T")
log = structlog.get_logger(__name__)

_POLL_SECONDS = 1.0


class CancellationWatch:
    """Knows the steps under way, and cancels those whose run is over.

    One query a poll asks for all of them; a cancel at this replica does not wait for the poll (`look`).
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._steps: dict[Run, set[asyncio.Task[Any]]] = {}
        self._ended: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                await self.look()
            except Exception as error:  # a loop that ended would let what is cancelled run on
                log.warning("cancellations not read", error=type(error).__name__)

    async def look(self) -> None:
        """Cancel the steps under way whose run is over."""
        if not self._steps:
            return
        for run in await self._jobs.over(list(self._steps)):
            for step in self._steps.get(run, ()):
                self._ended.add(step)
                step.cancel()

    async def _is_over(self, run: Run) -> bool:
        try:
            return run in await self._jobs.over([run])
        except sa.exc.SQLAlchemyError as error:
            # No reason to fail the job: the poll asks again, and the step waits for the database by itself.
            log.warning("cancellations not read", error=type(error).__name__)
            return False

    async def guard(self, run: Run, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which ends where its run does. Raises Conflict then."""
        # A job that was cancelled before the step began: the poll would let it run for up to a second.
        try:
            if await self._is_over(run):
                raise Conflict("The job was cancelled.")
        except BaseException:
            work.close()
            raise
        step = asyncio.ensure_future(work)
        self._steps.setdefault(run, set()).add(step)
        try:
            return await step
        except asyncio.CancelledError:
            if step in self._ended:
                raise Conflict("The job was cancelled.") from None
            raise
        finally:
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
            self._ended.discard(step)
            self._steps[run].discard(step)
            if not self._steps[run]:
                del self._steps[run]
