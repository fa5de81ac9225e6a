"""Several pieces of one piece of work at once."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


async def gather_or_cancel(work: Iterable[Awaitable[T]]) -> list[T]:
    """Results of several awaitables in order; where one fails the others are cancelled and its error is raised."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def both_or_cancel(one: Awaitable[A], other: Awaitable[B]) -> tuple[A, B]:
    """The same of two that yield something different."""
    found: list[object] = await gather_or_cancel([one, other])
    return found[0], found[1]  # type: ignore[return-value]
