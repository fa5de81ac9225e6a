"""Delivers files to destinations: few at a time, again and again, each destination behind its circuit."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from app.delivery.circuit_breaker import Circuit
from app.delivery.destinations import Destination, destinations
from app.errors import DeliveryFailed
from app.settings import Settings, StudySettings

_AT_ONCE = 4

Note = Callable[[int, str], Awaitable[None]]


class Outbox:
    """The destinations of the service."""

    def __init__(
        self,
        found: Sequence[Destination],
        policy: StudySettings,
        circuit: Callable[[], Circuit] = Circuit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._destinations = {destination.name: destination for destination in found}
        self._circuits = {destination.name: circuit() for destination in found}
        self._slots = {destination.name: asyncio.Semaphore(_AT_ONCE) for destination in found}
        self._policy = policy
        self._clock = clock

    @classmethod
    def of(cls, settings: Settings) -> "Outbox":
        """The outbox that is configured."""
        return cls(destinations(settings), settings.study)

    @property
    def names(self) -> tuple[str, ...]:
        """The destinations' names."""
        return tuple(self._destinations)

    async def deliver(self, name: str, files: Sequence[Path], note: Note) -> None:
        """Deliver files to one destination; `note` is told of each failed attempt (its number, the error's code).

        Repeats with a growing wait until the configured hours are over. Raises DeliveryFailed then, and at once where
        the destination refuses for good.
        """
        until = self._clock() + self._policy.delivery_hours * 3600.0
        attempts = 0
        while True:
            attempts += 1
            try:
                async with self._slots[name], self._circuits[name].attempt():
                    await self._destinations[name].send(files)
                return
            except DeliveryFailed as error:
                await note(attempts, error.code)
                if error.permanent or self._clock() >= until:
                    raise
            wait = min(self._policy.retry_seconds * 2.0 ** min(attempts - 1, 16), self._policy.max_retry_seconds)
            # Spread, so that all that waited for a destination do not return to it at once.
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
