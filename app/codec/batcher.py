"""Micro-batching: single calls in, batches to a function that runs on a thread, single results out."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from app.errors import CodecDead, Overloaded, WorkerFailed
from app.telemetry.metrics import CODEC_BATCH_IMAGES, STAGE_SECONDS

log = structlog.get_logger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass
class _Call(Generic[In, Out]):
    item: In
    result: "asyncio.Future[Out]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    arrived: float = field(default_factory=lambda: asyncio.get_running_loop().time())


class Batcher(Generic[In, Out]):
    """Collects calls until there are `max_batch` or `max_wait` seconds have passed, and runs them together.

    Cancelled calls are dropped before the batch runs. Every member of a batch gets an answer: its result, or
    WorkerFailed where `run` raised or returned another number of results than it was given items.
    """

    def __init__(
        self,
        run: Callable[[Sequence[In]], Sequence[Out]],
        executor: Executor,
        *,
        max_batch: int,
        max_wait: float,
        max_queue: int,
        queue_stage: str = "codec_queue",
    ) -> None:
        self._run = run
        self._executor = executor
        self._queue_seconds = STAGE_SECONDS.labels(stage=queue_stage)
        self._max_batch = max_batch
        self._max_wait = max_wait
        self._queue: asyncio.Queue[_Call[In, Out]] = asyncio.Queue(max_queue)
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """Calls that no batch has taken yet."""
        return self._queue.qsize()

    async def submit(self, item: In) -> Out:
        """Run `item` in some batch. Raises Overloaded, WorkerFailed, CodecDead."""
        if self._closed:
            raise CodecDead("The image codec has stopped.")
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        call: _Call[In, Out] = _Call(item)
        try:
            self._queue.put_nowait(call)
        except asyncio.QueueFull as error:
            raise Overloaded("The image codec's queue is full.") from error
        return await call.result

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            try:
                await self._fill(batch)
                await self._answer([call for call in batch if not call.result.done()])
            finally:
                # Reached with open calls only when the worker itself is cancelled.
                for call in batch:
                    if not call.result.done():
                        call.result.set_exception(CodecDead("The image codec has stopped."))

    async def _fill(self, batch: list[_Call[In, Out]]) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._max_wait
        while len(batch) < self._max_batch:
            try:
                batch.append(self._queue.get_nowait())
                continue
            except asyncio.QueueEmpty:
                pass
            remaining = until - loop.time()
            if remaining <= 0:
                return
            try:
                async with asyncio.timeout(remaining):
                    batch.append(await self._queue.get())
            except TimeoutError:
                return

    async def _answer(self, batch: list[_Call[In, Out]]) -> None:
        if not batch:
            return
        CODEC_BATCH_IMAGES.observe(len(batch))
        loop = asyncio.get_running_loop()
        for call in batch:
            self._queue_seconds.observe(loop.time() - call.arrived)
        try:
            results = await loop.run_in_executor(self._executor, self._run, [call.item for call in batch])
            if len(results) != len(batch):
                raise ValueError(f"{len(results)} results for a batch of {len(batch)}")
        except Exception as error:
            log.error("batch failed", size=len(batch), error=type(error).__name__)
            failure = WorkerFailed("The image codec failed on this request.")
            failure.__cause__ = error
            for call in batch:
                if not call.result.done():
                    call.result.set_exception(failure)
            return
        for call, result in zip(batch, results, strict=True):
            if not call.result.done():
                call.result.set_result(result)

    async def close(self) -> None:
        """Answer what waits with CodecDead and stop."""
        self._closed = True
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        while not self._queue.empty():
            call = self._queue.get_nowait()
            if not call.result.done():
                call.result.set_exception(CodecDead("The image codec has stopped."))
