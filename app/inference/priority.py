"""Fair share: somebody waits for an interactive request, nobody for a study's next step."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator


class Share:
    """Slots of background work: `most` at once while no interactive request is under way; while one is, a step begins
    only after it has waited `patience` seconds, and alone.
    """

    def __init__(self, most: int, patience: float) -> None:
        self._slots = asyncio.Semaphore(most)
        self._alone = asyncio.Lock()
        self._patience = patience
        self._interactive = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.contextmanager
    def interactive(self) -> Iterator[None]:
        """The block is work that somebody waits for."""
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
        """The block is work that can wait; enters when it has a slot."""
        async with self._slots:
            if self._idle.is_set():
                yield
                return
            async with self._alone:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._patience):
                        await self._idle.wait()
                yield
