"""Admission by priority: interactive requests go before background studies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator


class PriorityGate:
    """Admits background work: `slots` steps at once while no interactive request is under way.

    While one is, a step is admitted only after it has waited `patience` seconds, and one at a time.
    """

    def __init__(self, slots: int, patience: float) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._alone = asyncio.Lock()
        self._patience = patience
        self._interactive = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.contextmanager
    def interactive(self) -> Iterator[None]:
        """The block is an interactive request."""
        self._interactive += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._interactive -= 1
            if not self._interactive:
                self._idle.set()

    @contextlib.asynccontextmanager
    async def background(self) -> AsyncIterator[None]:
        """The block is background work; enters when it is admitted."""
        async with self._slots:
            if self._idle.is_set():
                yield
                return
            async with self._alone:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._patience):
                        await self._idle.wait()
                yield
