"""How much one client may do at once, in a minute and in a day."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import cast

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.storage import Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from app.errors import Overloaded, RateLimited
from app.security.identity import ANONYMOUS, Identity
from app.settings import LimitsSettings

Settle = Callable[[int], None]
# Seconds by which a window's end may differ as it is reckoned from what the storage says is left.
_SAME_WINDOW = 60.0


class Limiter:
    """Admission: lets requests in up to their limits, or says when to retry."""

    def __init__(self, settings: LimitsSettings) -> None:
        self._settings = settings
        self._storage = cast(Storage, storage_from_string(settings.storage))
        self._minute = MovingWindowRateLimiter(self._storage)
        self._day = FixedWindowRateLimiter(self._storage)
        self._under_way: Counter[str] = Counter()

    @property
    def under_way(self) -> int:
        """Requests that were admitted and are not over."""
        return self._under_way.total()

    @contextlib.contextmanager
    def admitted(self, identity: Identity) -> Iterator[None]:
        """While the block runs its request counts as under way. Raises Overloaded, RateLimited."""
        limits, allowance = self._settings, identity.allowance
        if self.under_way >= limits.max_requests:
            raise Overloaded("Too many requests are under way.")
        if identity is not ANONYMOUS:
            most = allowance.max_requests or limits.max_requests_per_key
            if self._under_way[identity.id] >= most:
                raise RateLimited(f"This key has {most} requests under way.", retry_after=1)
            day = self._daily(identity)
            if day is not None and not self._day.test(day, identity.id):
                raise self._exhausted(day, identity, "This key has used its tokens of the day.")
            rate = allowance.requests_per_minute or limits.requests_per_minute
            if rate is not None:
                minute = RateLimitItemPerMinute(rate)
                if not self._minute.hit(minute, identity.id):
                    reset = self._minute.get_window_stats(minute, identity.id).reset_time
                    wait = max(1, round(reset - time.time() + 0.5))
                    raise RateLimited(f"This key may make {rate} requests a minute.", retry_after=min(wait, 60))
        self._under_way[identity.id] += 1
        try:
            yield
        finally:
            self._under_way[identity.id] -= 1
            if not self._under_way[identity.id]:
                del self._under_way[identity.id]

    def reserve(self, identity: Identity, tokens: int) -> Settle:
        """Set aside the most tokens that a generation can read and write; the result is told how many they were, and
        gives the others back. Many at once together never take more than there are. Raises RateLimited.
        """
        day = self._daily(identity)
        if day is None:
            return lambda used: None
        key, life = day.key_for(identity.id), day.get_expiry()
        if self._storage.incr(key, life, amount=tokens) > day.amount:
            self._storage.incr(key, life, amount=-tokens)
            raise self._exhausted(day, identity, "The tokens of the day that this key has left are too few for this.")
        window = self._day.get_window_stats(day, identity.id).reset_time

        def settle(used: int) -> None:
            unused = tokens - used
            # What was set aside yesterday is not given back today.
            if unused > 0 and abs(self._day.get_window_stats(day, identity.id).reset_time - window) < _SAME_WINDOW:
                self._storage.incr(key, life, amount=-unused)

        return settle

    def _daily(self, identity: Identity) -> RateLimitItem | None:
        if identity is ANONYMOUS:
            return None
        tokens = identity.allowance.tokens_per_day or self._settings.tokens_per_day
        return None if tokens is None else RateLimitItemPerDay(tokens)

    def _exhausted(self, item: RateLimitItem, identity: Identity, detail: str) -> RateLimited:
        reset = self._day.get_window_stats(item, identity.id).reset_time
        return RateLimited(detail, code="quota_exhausted", retry_after=max(1, round(reset - time.time() + 0.5)))
