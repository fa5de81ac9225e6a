"""Who is let in: keys, scopes, limits, headers, the audit log."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.engine.fake import FakeEngine
from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import Settings
from tests.support.audit import events_of
from tests.support.service import Service, encoded, gradient, running


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return Keys(settings.keys_file)


@pytest.fixture
async def locked(settings: Settings, keys: Keys) -> AsyncIterator[Service]:
    keys.create("first", (Scope.ADMIN,))
    async with running(settings, durable=True) as service:
        yield service


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def report(service: Service, **headers: str) -> httpx.Response:
    return await service.client.post("/v1/reports", files={"image": encoded(gradient())}, headers=headers)


async def test_without_keys_loopback_is_open_and_a_network_address_is_closed(settings: Settings, keys: Keys) -> None:
    async with running(settings) as service:
        assert (await report(service)).status_code == 200
    outside = settings.model_copy(update={"host": "0.0.0.0"})
    async with running(outside) as service:
        assert (await report(service)).status_code == 401
        assert (await service.client.get("/livez")).status_code == 200
    off = outside.model_copy(update={"auth": settings.auth.model_copy(update={"mode": "off"})})
    async with running(off) as service:
        assert (await report(service)).status_code == 200


async def test_a_first_key_closes_a_running_service(settings: Settings, keys: Keys) -> None:
    async with running(settings) as service:
        assert (await report(service)).status_code == 200
        token = keys.create("a", (Scope.INFER,))
        service.app.state.service.guard._keys._checked = 0.0
        assert (await report(service)).status_code == 401
        assert (await report(service, **bearer(token))).status_code == 200
        assert (await report(service, **{"X-API-Key": token})).status_code == 200


async def test_a_request_without_a_valid_key_is_401_in_the_shape_of_its_path(locked: Service) -> None:
    response = await report(locked)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["code"] == "unauthenticated"
    for token in ("", "cxr_1_2", "x" * 5000):
        assert (await report(locked, **bearer(token))).status_code == 401
    drawn = await locked.client.post("/v1/images/generations", json={"prompt": "x"})
    assert drawn.json()["error"]["type"] == "authentication_error"


async def test_a_body_is_not_read_before_its_sender_is_known(locked: Service) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(50):
            read += 1
            yield b"x" * 1_000_000

    response = await locked.client.post("/v1/reports", content=body(), headers={"Content-Type": "multipart/form-data"})
    assert response.status_code == 401


async def test_a_key_at_its_limit_is_429_with_retry_after_and_the_others_go_on(settings: Settings, keys: Keys) -> None:
    first = keys.create("a", (Scope.INFER,), requests_per_minute=1)
    second = keys.create("b", (Scope.INFER,), tokens_per_day=1000)
    async with running(settings) as service:
        assert (await report(service, **bearer(first))).status_code == 200
        refused = await report(service, **bearer(first))
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await report(service, **bearer(second))).status_code == 200
        assert (await report(service, **bearer(second))).json()["code"] == "quota_exhausted"


async def test_many_requests_at_once_stay_within_the_tokens_of_the_day(settings: Settings, keys: Keys) -> None:
    token = keys.create("a", (Scope.INFER,), tokens_per_day=1000)
    body = {"prompt": "Normal.", "n": 2}
    async with running(settings) as service:
        service.engine.step_seconds = 0.005
        drawn = [service.client.post("/v1/images/generations", json=body, headers=bearer(token)) for _ in range(20)]
        answers = await asyncio.gather(*drawn)
        used = sum(answer.json()["usage"]["total_tokens"] for answer in answers if answer.is_success)
        refused = [answer.json()["error"]["code"] for answer in answers if not answer.is_success]
    assert 0 < used <= 1000
    assert set(refused) <= {"quota_exhausted", "rate_limited"}
    assert "quota_exhausted" in refused


async def test_requests_past_the_limit_are_429_and_health_still_answers(settings: Settings) -> None:
    limits = settings.limits.model_copy(update={"max_requests": 2})
    settings = settings.model_copy(update={"limits": limits})
    async with running(settings) as service:
        engine: FakeEngine = service.engine
        engine.step_seconds = 0.2
        answers = await asyncio.gather(*(report(service) for _ in range(6)))
        assert sorted({answer.status_code for answer in answers}) == [200, 429]
        assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 429)
        assert (await service.client.get("/livez")).status_code == 200


def test_no_more_requests_are_under_way_by_default_than_the_engine_runs_at_once(settings: Settings) -> None:
    assert settings.limits.max_requests == settings.engine.max_num_seqs
    assert settings.limits.max_requests_per_key < settings.limits.max_requests


async def test_requests_that_are_too_many_are_counted_each_and_logged_together(settings: Settings) -> None:
    settings = settings.model_copy(update={"limits": settings.limits.model_copy(update={"max_requests": 1})})
    async with running(settings) as service:
        service.engine.step_seconds = 0.3
        before = _refused()
        with capture_logs() as lines:
            answers = await asyncio.gather(*(report(service) for _ in range(12)))
        assert sorted(answer.status_code for answer in answers) == [200] + [429] * 11
        assert all(answer.headers["X-Request-Id"] and answer.headers["Retry-After"] for answer in answers[1:])
        assert _refused() - before == 11
        assert [line["status"] for line in lines if line["event"] == "request"] == [200]
        assert len([line for line in lines if line["event"] == "too many requests"]) == 1
    kept = [event for event in events_of(settings.state_dir) if "/v1/reports" in event["what"]]
    assert [event["outcome"] for event in kept] == ["200"]


def _refused() -> float:
    return REGISTRY.get_sample_value("cxr_rejected_total", {"code": "overloaded"}) or 0.0


async def test_a_request_may_shorten_its_deadline(service: Service) -> None:
    service.engine.step_seconds = 5.0
    response = await report(service, **{"X-Request-Timeout": "0.05"})
    assert (response.status_code, service.engine.running) == (504, 0)
    for wrong in ("0", "-1", "soon", "nan", "inf"):
        assert (await report(service, **{"X-Request-Timeout": wrong})).status_code == 400


async def test_clients_have_prefix_caches_of_their_own(locked: Service, keys: Keys) -> None:
    tokens = [keys.create(name, (Scope.INFER,)) for name in "ab"]
    locked.app.state.service.guard._keys._checked = 0.0
    for token in (*tokens, tokens[0]):
        assert (await report(locked, **bearer(token))).status_code == 200
    first, second, third = (generation.cache_salt for generation in locked.engine.generations)
    assert first is not None
    assert first == third != second


async def test_every_answer_has_the_security_headers_and_no_cors(service: Service) -> None:
    for path in ("/livez", "/v1/models", "/docs", "/nothing"):
        response = await service.client.get(path, headers={"Origin": "https://evil.example"})
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert not [name for name in response.headers if name.lower().startswith("access-control")]


async def test_who_did_what_is_in_the_audit_log(settings: Settings, keys: Keys) -> None:
    token = keys.create("a", (Scope.INFER,))
    async with running(settings) as service:
        await report(service, **bearer(token), **{"X-Request-Id": "one"})
        await report(service, **{"X-Request-Id": "two"})
    events: list[dict[str, Any]] = list(events_of(settings.state_dir))
    assert [(event["who"], event["what"], event["outcome"], event.get("request_id")) for event in events[1:-1]] == [
        (f"key:{token.split('_')[1]}", "POST /v1/reports", "200", "one"),
        ("unknown", "POST /v1/reports", "401", "two"),
    ]
    assert [events[0]["what"], events[-1]["what"]] == ["start", "stop"]
