"""The `x-ratelimit-*` headers of OpenAI's API, which its clients and gateways read: what is left of a client's limits.

A key has requests a minute and tokens a day. A limit that it has not got has no headers.
"""

from collections.abc import Iterator

from app.api.asgi.headers import RawHeaders, raw
from app.errors import Unavailable
from app.security.identity import ANONYMOUS, Identity
from app.security.limiter import Budget, Limiter

NAMES = tuple(f"x-ratelimit-{what}-{of}" for of in ("requests", "tokens") for what in ("limit", "remaining", "reset"))


def rate_headers(limiter: Limiter, identity: Identity) -> RawHeaders:
    """The headers of a response to a client; none where the counters cannot be reached."""
    if identity is ANONYMOUS:
        return ()
    try:
        budgets = {"requests": limiter.requests(identity), "tokens": limiter.tokens(identity)}
    except Unavailable:
        return ()
    return raw({name: value for of, budget in budgets.items() for name, value in _of(of, budget)})


def _of(name: str, budget: Budget) -> Iterator[tuple[str, str]]:
    if budget.limit is not None:
        yield f"x-ratelimit-limit-{name}", str(budget.limit)
        yield f"x-ratelimit-remaining-{name}", str(budget.remaining)
        yield f"x-ratelimit-reset-{name}", duration(budget.reset_seconds)


def duration(seconds: int) -> str:
    """Seconds as OpenAI writes them, such as `6m0s`."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
