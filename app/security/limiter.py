"""How much one client may do at once, in a minute and in a day."""

import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import structlog
from limits import RateLimitItemPerDay, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from app.errors import Overloaded, RateLimited, Unavailable
from app.security.identity import ANONYMOUS, Identity
from app.settings import LimitsSettings

log = structlog.get_logger(__name__)
Settle = Callable[[int], None]
# Seconds by which a window's end may differ as it is reckoned from what the storage says is left.
_SAME_WINDOW = 60.0
# Tokens are counted whatever the limit is: a key without one has a usage, too, and a changed limit keeps the count.
_DAY = RateLimitItemPerDay(2**62, namespace="tokens")


@dataclass(frozen=True)
class Budget:
    """How much a client may still do in a window: its limit (none: `None`), what is used of it and what is left, and
    the seconds until all of it is there again.
    """

    limit: int | None
    used: int
    reset_seconds: int

    @property
    def remaining(self) -> int | None:
        """What is left; `None` without a limit."""
        return None if self.limit is None else max(0, self.limit - self.used)


@contextlib.contextmanager
def _counters() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise Unavailable("The counters of the limits do not answer.", code="limits_unavailable") from error


class Limiter:
    """Admission: lets requests in up to their limits, or says when to retry."""

    def __init__(self, settings: LimitsSettings) -> None:
        self._settings = settings
        self._storage = cast(Storage, storage_from_string(settings.storage, wrap_exceptions=True))
        self._minute = MovingWindowRateLimiter(self._storage)
        self._day = FixedWindowRateLimiter(self._storage)
        self._under_way: Counter[str] = Counter()

    @property
    def under_way(self) -> int:
        """Requests that were admitted and are not over."""
        return self._under_way.total()

    @contextlib.contextmanager
    def admitted(self, identity: Identity, *, spends: bool = True) -> Iterator[None]:
        """While the block runs its request counts as under way. One that `spends` needs tokens that are left.

        Raises Overloaded, RateLimited, Unavailable.
        """
        limits = self._settings
        if self.under_way >= limits.max_requests:
            raise Overloaded("Too many requests are under way.")
        if identity is not ANONYMOUS:
            under_way, most = self.under_way_of(identity)
            if under_way >= most:
                raise RateLimited(f"This key has {most} requests under way.", retry_after=1)
            with _counters():
                self._count(identity, spends)
        self._under_way[identity.id] += 1
        try:
            yield
        finally:
            self._under_way[identity.id] -= 1
            if not self._under_way[identity.id]:
                del self._under_way[identity.id]

    def _count(self, identity: Identity, spends: bool) -> None:
        tokens = self._tokens_per_day(identity) if spends else None
        if tokens is not None and self._storage.get(_DAY.key_for(identity.id)) >= tokens:
            raise self._exhausted(identity, "This key has used its tokens of the day.")
        minute = self._per_minute(identity)
        if minute is not None and not self._minute.hit(minute, identity.id):
            wait = min(60, _seconds_until(self._minute.get_window_stats(minute, identity.id).reset_time))
            raise RateLimited(f"This key may make {minute.amount} requests a minute.", retry_after=wait)

    @_counters()
    def reserve(self, identity: Identity, tokens: int) -> Settle:
        """Set aside the most tokens that a generation can read and write; the result is told how many they were, and
        gives the others back. Many at once together never take more than there are. Raises RateLimited, Unavailable.
        """
        if identity is ANONYMOUS:
            return lambda used: None
        key, life, most = _DAY.key_for(identity.id), _DAY.get_expiry(), self._tokens_per_day(identity)
        if self._storage.incr(key, life, amount=tokens) > (_DAY.amount if most is None else most):
            self._storage.incr(key, life, amount=-tokens)
            raise self._exhausted(identity, "The tokens of the day that this key has left are too few for this.")
        window = self._day_ends(identity)

        def settle(used: int) -> None:
            unused = tokens - used
            try:
                # What was set aside yesterday is not given back today, nor to a day that has not begun.
                same = time.time() < window and abs(self._day_ends(identity) - window) < _SAME_WINDOW
                if unused > 0 and same:
                    self._storage.incr(key, life, amount=-unused)
            except StorageError:
                # The answer is there. What was set aside for it stays counted until the day is over.
                log.warning("the counters of the limits do not answer", tokens=unused)

        return settle

    @_counters()
    def requests(self, identity: Identity) -> Budget:
        """Requests of the last minute. Raises Unavailable."""
        minute = self._per_minute(identity)
        if minute is None:
            return Budget(None, 0, 0)
        window = self._minute.get_window_stats(minute, identity.id)
        used = minute.amount - window.remaining
        return Budget(minute.amount, used, _seconds_until(window.reset_time) if used else 0)

    @_counters()
    def tokens(self, identity: Identity) -> Budget:
        """Tokens of the day, which begins with its first; those set aside for what is under way are counted in full.

        Raises Unavailable.
        """
        used = 0 if identity is ANONYMOUS else self._storage.get(_DAY.key_for(identity.id))
        return Budget(self._tokens_per_day(identity), used, _seconds_until(self._day_ends(identity)) if used else 0)

    def under_way_of(self, identity: Identity) -> tuple[int, int]:
        """How many requests of a client are under way, and how many may be."""
        limits = self._settings
        if identity is ANONYMOUS:
            return self._under_way[identity.id], limits.max_requests
        return self._under_way[identity.id], identity.allowance.max_requests or limits.max_requests_per_key

    def _per_minute(self, identity: Identity) -> RateLimitItemPerMinute | None:
        if identity is ANONYMOUS:
            return None
        rate = identity.allowance.requests_per_minute or self._settings.requests_per_minute
        return None if rate is None else RateLimitItemPerMinute(rate)

    def _tokens_per_day(self, identity: Identity) -> int | None:
        if identity is ANONYMOUS:
            return None
        return identity.allowance.tokens_per_day or self._settings.tokens_per_day

    def _day_ends(self, identity: Identity) -> float:
        return self._day.get_window_stats(_DAY, identity.id).reset_time

    def _exhausted(self, identity: Identity, detail: str) -> RateLimited:
        return RateLimited(detail, code="quota_exhausted", retry_after=_seconds_until(self._day_ends(identity)))


def _seconds_until(moment: float) -> int:
    """Whole seconds until a time, at least one: a client that waits for so long is not too early."""
    return max(1, math.ceil(moment - time.time()))
