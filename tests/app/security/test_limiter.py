"""How much one client may do."""

import pytest

from app.errors import Overloaded, RateLimited
from app.security.identity import ANONYMOUS, Allowance, Identity, Scope
from app.security.limiter import Limiter
from app.settings import LimitsSettings


def client(name: str = "a", **allowance: int) -> Identity:
    return Identity(name, frozenset({Scope.INFER}), Allowance(**allowance))


def test_requests_a_minute_are_counted_by_key() -> None:
    limiter = Limiter(LimitsSettings(requests_per_minute=2))
    for _ in range(2):
        with limiter.admitted(client()):
            pass
    with pytest.raises(RateLimited) as refused, limiter.admitted(client()):
        pass
    assert 1 <= refused.value.retry_after <= 60
    with limiter.admitted(client("b")), limiter.admitted(client("c", requests_per_minute=9)):
        pass


def test_requests_under_way_are_limited_by_key_and_in_all() -> None:
    limiter = Limiter(LimitsSettings(max_requests=3, max_requests_per_key=1))
    with limiter.admitted(client()):
        with pytest.raises(RateLimited), limiter.admitted(client()):
            pass
        with limiter.admitted(client("b")), limiter.admitted(ANONYMOUS):
            assert limiter.under_way == 3
            with pytest.raises(Overloaded), limiter.admitted(ANONYMOUS):
                pass
    with limiter.admitted(client()):
        assert limiter.under_way == 1
    assert limiter.under_way == 0


def test_a_request_that_fails_gives_its_place_back() -> None:
    limiter = Limiter(LimitsSettings(max_requests_per_key=1))
    with pytest.raises(ValueError, match="x"), limiter.admitted(client()):
        raise ValueError("x")
    assert limiter.under_way == 0


def test_tokens_of_the_day_run_out_and_what_was_begun_is_finished() -> None:
    limiter = Limiter(LimitsSettings(tokens_per_day=100))
    with limiter.admitted(client()):
        limiter.spend(client(), 60)
        limiter.spend(client(), 60)
    with pytest.raises(RateLimited, match="tokens") as refused, limiter.admitted(client()):
        pass
    assert refused.value.code == "quota_exhausted"
    assert refused.value.retry_after <= 86_401
    with limiter.admitted(client("b")):
        limiter.spend(ANONYMOUS, 10_000)
