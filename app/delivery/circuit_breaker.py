"""A circuit breaker per destination: after several failures in a row, no attempts for a while."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum

from app.errors import DeliveryFailed

_FAILURES = 5
_REST_SECONDS = 15.0


class CircuitState(StrEnum):
    """Whether a circuit lets attempts through."""

    CLOSED = "closed"
    OPEN = "open"
    TRIAL = "trial"  # one attempt is under way that decides


class CircuitBreaker:
    """Lets attempts through while the destination answers; one at a time as a trial when it has not for a while.

    A permanent refusal is an answer: it says something of the object and nothing of the destination.
    """

    def __init__(
        self,
        failures: int = _FAILURES,
        rest_seconds: float = _REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = failures
        self._rest = rest_seconds
        self._clock = clock
        self._failures = 0
        self._opened = 0.0
        self.state = CircuitState.CLOSED
        self._changed = asyncio.Event()

    async def _enter(self) -> None:
        while self.state is not CircuitState.CLOSED:
            remaining = self._opened + self._rest - self._clock()
            if self.state is CircuitState.OPEN and remaining <= 0.0:
                self._move(CircuitState.TRIAL)
                return
            changed = self._changed
            try:
                async with asyncio.timeout(max(remaining, 0.0) if self.state is CircuitState.OPEN else None):
                    await changed.wait()
            except TimeoutError:
                continue

    def _move(self, state: CircuitState) -> None:
        self.state = state
        # Wakes those that wait, who check the state.
        self._changed.set()
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """Wait until an attempt is let through, and learn from how the block ends."""
        await self._enter()
        try:
            yield
        except DeliveryFailed as error:
            self._answered() if error.permanent else self._failed()
            raise
        except BaseException:
            # Cancelled: nothing was learnt; another has to make the trial.
            if self.state is CircuitState.TRIAL:
                self._move(CircuitState.OPEN)
            raise
        self._answered()

    def _answered(self) -> None:
        self._failures = 0
        self._move(CircuitState.CLOSED)

    def _failed(self) -> None:
        self._failures += 1
        if self.state is CircuitState.TRIAL or self._failures >= self._most:
            self._opened = self._clock()
            self._move(CircuitState.OPEN)
