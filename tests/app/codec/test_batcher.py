"""Micro-batches: who is answered, and with what."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.codec.batcher import Batcher
from app.errors import CodecDead, Overloaded, WorkerFailed


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


class Doubler:
    """Doubles numbers and remembers its batches; `gate` holds it back, -1 makes it fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.gate.wait(5)
        self.batches.append(list(items))
        if -1 in items:
            raise ValueError("secret")
        return [2 * item for item in items if item != -2]


def batcher(run: Doubler, executor: ThreadPoolExecutor, **limits: float) -> Batcher[int, int]:
    return Batcher(
        run,
        executor,
        max_batch=int(limits.get("max_batch", 4)),
        max_wait=limits.get("max_wait", 0.01),
        max_queue=int(limits.get("max_queue", 100)),
    )


async def test_calls_made_together_run_together_and_each_gets_its_own_answer(executor: ThreadPoolExecutor) -> None:
    run = Doubler()
    batches = batcher(run, executor)
    assert await asyncio.gather(*(batches.submit(i) for i in range(10))) == [2 * i for i in range(10)]
    assert [len(batch) for batch in run.batches] == [4, 4, 2]
    await batches.close()


async def test_every_member_of_a_failed_batch_is_told_and_the_next_batch_runs(executor: ThreadPoolExecutor) -> None:
    batches = batcher(Doubler(), executor)
    results = await asyncio.gather(*(batches.submit(i) for i in (1, -1, 2)), return_exceptions=True)
    assert all(isinstance(result, WorkerFailed) for result in results)
    assert "secret" not in str(results[0])
    assert await batches.submit(3) == 6
    await batches.close()


async def test_a_batch_with_too_few_results_fails_instead_of_mixing_them_up(executor: ThreadPoolExecutor) -> None:
    batches = batcher(Doubler(), executor)
    results = await asyncio.gather(*(batches.submit(i) for i in (1, -2)), return_exceptions=True)
    assert all(isinstance(result, WorkerFailed) for result in results)
    await batches.close()


async def test_cancelled_calls_are_dropped_before_the_batch_runs(executor: ThreadPoolExecutor) -> None:
    run = Doubler()
    run.gate.clear()
    batches = batcher(run, executor, max_batch=1)
    first, second, third = (asyncio.create_task(batches.submit(i)) for i in (1, 2, 3))
    await asyncio.sleep(0.02)
    second.cancel()
    run.gate.set()
    assert (await first, await third) == (2, 6)
    assert [2] not in run.batches
    await batches.close()


async def test_a_full_queue_refuses(executor: ThreadPoolExecutor) -> None:
    run = Doubler()
    run.gate.clear()
    batches = batcher(run, executor, max_batch=1, max_queue=1)
    tasks = [asyncio.create_task(batches.submit(1))]
    await asyncio.sleep(0.02)
    tasks += [asyncio.create_task(batches.submit(i)) for i in (2, 3)]
    await asyncio.sleep(0.02)
    run.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 1
    await batches.close()


async def test_closing_answers_what_waits(executor: ThreadPoolExecutor) -> None:
    run = Doubler()
    run.gate.clear()
    batches = batcher(run, executor, max_batch=1)
    tasks = [asyncio.create_task(batches.submit(i)) for i in (1, 2)]
    await asyncio.sleep(0.02)
    await batches.close()
    run.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, CodecDead) for result in results)
    with pytest.raises(CodecDead):
        await batches.submit(3)
