"""How much one client may do at once, in a minute and in a day."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from app.errors import Overloaded, RateLimited
from app.security.identity import ANONYMOUS, Identity
from app.settings import LimitsSettings


class Limiter:
    """Admission: lets requests in up to their limits, or says when to retry."""

    def __init__(self, settings: LimitsSettings) -> None:
        self._settings = settings
        storage = storage_from_string(settings.storage)
        self._minute = MovingWindowRateLimiter(storage)
        self._day = FixedWindowRateLimiter(storage)
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

    def spend(self, identity: Identity, tokens: int) -> None:
        """Count tokens that were read and written for a client; what it has begun it may finish."""
        day = self._daily(identity)
        if day is not None and tokens > 0:
            self._day.hit(day, identity.id, cost=tokens)

    def _daily(self, identity: Identity) -> RateLimitItem | None:
        if identity is ANONYMOUS:
            return None
        tokens = identity.allowance.tokens_per_day or self._settings.tokens_per_day
        return None if tokens is None else RateLimitItemPerDay(tokens)

    def _exhausted(self, item: RateLimitItem, identity: Identity, detail: str) -> RateLimited:
        reset = self._day.get_window_stats(item, identity.id).reset_time
        return RateLimited(detail, code="quota_exhausted", retry_after=max(1, round(reset - time.time() + 0.5)))
