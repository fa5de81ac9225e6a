"""Fair gate between requests that somebody waits for and studies."""

import asyncio
import time

from app.inference.priority import PriorityGate


async def test_background_work_has_its_slots_while_nobody_waits() -> None:
    gate, inside = PriorityGate(2, 60.0), 0

    async def work() -> int:
        nonlocal inside
        async with gate.background():
            inside += 1
            most = inside
            await asyncio.sleep(0.01)
            inside -= 1
            return most

    assert max(await asyncio.gather(*(work() for _ in range(6)))) == 2


async def test_background_work_lets_interactive_requests_go_first() -> None:
    gate, order = PriorityGate(4, 60.0), []

    async def work() -> None:
        async with gate.background():
            order.append("study")

    with gate.interactive():
        tasks = [asyncio.create_task(work()) for _ in range(3)]
        await asyncio.sleep(0.05)
        order.append("answer")
    await asyncio.gather(*tasks)
    assert order == ["answer", "study", "study", "study"]


async def test_a_study_is_not_kept_waiting_for_ever_and_then_goes_alone() -> None:
    gate, inside, most = PriorityGate(4, 0.05), 0, 0

    async def work() -> float:
        nonlocal inside, most
        async with gate.background():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1
            return time.monotonic()

    started = time.monotonic()
    with gate.interactive():
        ended = await asyncio.gather(*(work() for _ in range(3)))
    assert most == 1
    assert max(ended) - started < 2.0
