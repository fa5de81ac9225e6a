"""How much one client may do."""

import contextlib
import time

import pytest
from limits.errors import StorageError

from app.api.asgi.rate_headers import rate_headers
from app.errors import Overloaded, RateLimited, Unavailable
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


def test_tokens_of_the_day_run_out() -> None:
    limiter = Limiter(LimitsSettings(tokens_per_day=100))
    limiter.reserve(client(), 60)(60)
    limiter.reserve(client(), 40)(40)
    with pytest.raises(RateLimited, match="tokens") as refused, limiter.admitted(client()):
        pass
    assert refused.value.code == "quota_exhausted"
    assert refused.value.retry_after <= 86_401
    with limiter.admitted(client("b")):
        limiter.reserve(ANONYMOUS, 10_000)(10_000)


def test_many_at_once_never_take_more_than_there_is() -> None:
    limiter, taken = Limiter(LimitsSettings(tokens_per_day=1000)), []
    for _ in range(40):
        with contextlib.suppress(RateLimited):
            taken.append(limiter.reserve(client(), 300))
    assert len(taken) == 3
    with pytest.raises(RateLimited):
        limiter.reserve(client(), 101)
    limiter.reserve(client(), 100)


def test_what_was_not_used_is_given_back() -> None:
    limiter = Limiter(LimitsSettings(tokens_per_day=1000))
    for _ in range(25):
        limiter.reserve(client(), 500)(20)
    with pytest.raises(RateLimited):
        limiter.reserve(client(), 501)
    limiter.reserve(client(), 500)


def test_a_refused_reservation_takes_nothing() -> None:
    limiter = Limiter(LimitsSettings(tokens_per_day=100))
    for _ in range(10):
        with pytest.raises(RateLimited):
            limiter.reserve(client(), 101)
    limiter.reserve(client(), 100)


def test_a_changed_limit_keeps_what_was_counted_and_all_are_counted() -> None:
    limiter = Limiter(LimitsSettings())
    limiter.reserve(client(), 90)(80)
    assert (limiter.tokens(client()).used, limiter.tokens(client()).remaining) == (80, None)
    assert limiter.tokens(client(tokens_per_day=100)).remaining == 20
    assert limiter.tokens(client("b")).used == 0
    assert limiter.tokens(ANONYMOUS).used == 0


def test_a_request_that_spends_nothing_is_let_in_without_tokens() -> None:
    limiter = Limiter(LimitsSettings(tokens_per_day=1))
    limiter.reserve(client(), 1)(1)
    with limiter.admitted(client(), spends=False):
        pass
    with pytest.raises(RateLimited), limiter.admitted(client()):
        pass


def test_counters_that_do_not_answer_refuse_with_503_and_lose_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = Limiter(LimitsSettings(tokens_per_day=100))
    settle = limiter.reserve(client(), 10)

    def gone(*_: object, **__: object) -> None:
        raise StorageError(ConnectionError())

    monkeypatch.setattr(limiter._storage, "get", gone)
    monkeypatch.setattr(limiter._storage, "incr", gone)
    for ask in (limiter.tokens, lambda key: limiter.reserve(key, 1), lambda key: limiter.admitted(key).__enter__()):
        with pytest.raises(Unavailable) as refused:
            ask(client())
        assert refused.value.code == "limits_unavailable"
    assert limiter.under_way == 0
    settle(1)
    assert rate_headers(limiter, client()) == ()


def test_what_is_settled_after_the_day_is_no_present_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    limiter = Limiter(LimitsSettings(tokens_per_day=600))
    limiter.reserve(client(), 10)(10)
    now += 86_390
    settle = limiter.reserve(client(), 300)
    now += 15
    settle(100)
    assert limiter.tokens(client()).used == 0
    limiter.reserve(client(), 600)
    with pytest.raises(RateLimited):
        limiter.reserve(client(), 1)
