"""Delivers files to destinations: few at a time, with backoff, each destination behind its circuit breaker."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from app.delivery.backoff import backoff_seconds
from app.delivery.circuit_breaker import CircuitBreaker
from app.delivery.destinations import Destination, destinations
from app.errors import DeliveryFailed
from app.settings import Settings, StudySettings

_AT_ONCE = 4

Note = Callable[[int, str], Awaitable[None]]
Files = Callable[[], Awaitable[Sequence[Path]]]


class Outbox:
    """The destinations of the service."""

    def __init__(
        self,
        found: Sequence[Destination],
        policy: StudySettings,
        circuit: Callable[[], CircuitBreaker] = CircuitBreaker,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._destinations = {destination.name: destination for destination in found}
        self._circuits = {destination.name: circuit() for destination in found}
        self._slots = {destination.name: asyncio.Semaphore(_AT_ONCE) for destination in found}
        self._policy = policy
        self._clock = clock

    @classmethod
    def from_settings(cls, settings: Settings) -> "Outbox":
        """The outbox that is configured."""
        return cls(destinations(settings), settings.study)

    @property
    def names(self) -> tuple[str, ...]:
        """The destinations' names."""
        return tuple(self._destinations)

    async def deliver(self, name: str, files: Files, note: Note) -> None:
        """Deliver files to one destination; `note` is called with each failed attempt (its number, the error's code).

        `files` is asked before each attempt: hours may lie between two, in which a file can be damaged.

        Repeats with a growing wait until the configured hours are over. Raises DeliveryFailed then, and at once where
        the destination refuses for good.
        """
        until = self._clock() + self._policy.delivery_hours * 3600.0
        attempts = 0
        while True:
            attempts += 1
            try:
                async with self._slots[name], self._circuits[name].attempt():
                    await self._destinations[name].send(await files())
                return
            except DeliveryFailed as error:
                await note(attempts, error.code)
                if error.permanent or self._clock() >= until:
                    raise
            wait = backoff_seconds(attempts, self._policy.retry_seconds, self._policy.max_retry_seconds)
            # Jitter: what waited for a destination does not return to it all at once.
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
