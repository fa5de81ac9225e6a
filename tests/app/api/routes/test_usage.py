"""What is left of a key's limits: `/v1/usage`, the `x-ratelimit-*` headers and the quota say the same."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.api.asgi.rate_headers import NAMES, duration
from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import Settings
from tests.support.service import Service, encoded, gradient, running
from tests.support.studies import finished, instance, parsed, quick, stow

LIMIT = 50_000
IMAGE = encoded(gradient())
DRAW = "/v1/images/generations"


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return Keys(settings.keys_file)


def total(usage: dict[str, int]) -> int:
    return usage.get("total_tokens") or usage["prompt_tokens"] + usage["completion_tokens"]


async def _draw(client: httpx.AsyncClient, **body: Any) -> int:
    return total((await client.post(DRAW, json={"prompt": "x", **body})).json()["usage"])


async def _draw_guided(client: httpx.AsyncClient) -> int:
    return await _draw(client, n=2, guidance_scale=3)


async def _draw_best(client: httpx.AsyncClient) -> int:
    return await _draw(client, n=2, best_of=3, guidance_scale=3)


async def _draw_streamed(client: httpx.AsyncClient, **body: Any) -> int:
    text = (await client.post(DRAW, json={"prompt": "x", "n": 3, "stream": True, **body})).text
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    return sum(total(event["usage"]) for event in events if "usage" in event)


async def _redraw(client: httpx.AsyncClient) -> int:
    form = {"prompt": "x", "n": "2"}
    return total((await client.post("/v1/images/edits", data=form, files={"image": IMAGE})).json()["usage"])


async def _report(client: httpx.AsyncClient) -> int:
    return total((await client.post("/v1/reports", files={"image": IMAGE})).json()["usage"])


async def _answers(client: httpx.AsyncClient) -> int:
    form = {"question": ["Is there pneumonia?", "Is there an effusion?"]}
    body = (await client.post("/v1/answers", data=form, files={"image": IMAGE})).json()
    return sum(total(item["usage"]) for item in body["answers"])


async def _chat(client: httpx.AsyncClient) -> int:
    body = {"messages": [{"role": "user", "content": "x"}], "modalities": ["text", "image"]}
    return total((await client.post("/v1/chat/completions", json=body)).json()["usage"])


@pytest.mark.parametrize(
    "work",
    [
        _draw,
        lambda client: _draw(client, n=4),
        _draw_guided,
        _draw_best,
        _draw_streamed,
        lambda client: _draw_streamed(client, best_of=2),
        _redraw,
        _report,
        _answers,
        _chat,
    ],
)
async def test_the_quota_counts_what_the_answers_report(
    settings: Settings, keys: Keys, work: Callable[[httpx.AsyncClient], Awaitable[int]]
) -> None:
    token = keys.create("a", (Scope.INFER,), tokens_per_day=LIMIT)
    async with running(settings) as service:
        service.client.headers["Authorization"] = f"Bearer {token}"
        reported = await work(service.client)
        response = await service.client.get("/v1/usage")
    tokens = response.json()["tokens_per_day"]
    assert reported > 0
    assert (tokens["used"], tokens["remaining"], tokens["limit"]) == (reported, LIMIT - reported, LIMIT)
    assert 86_000 < tokens["reset_seconds"] <= 86_400
    assert int(response.headers["x-ratelimit-remaining-tokens"]) == LIMIT - reported


async def test_an_attempt_that_is_thrown_away_is_in_the_usage_and_in_the_quota(settings: Settings, keys: Keys) -> None:
    engine = settings.engine.model_copy(update={"decoding": "reference", "reference_attempts": 4})
    token = keys.create("a", (Scope.INFER,), tokens_per_day=LIMIT)
    async with running(settings.model_copy(update={"engine": engine})) as service:
        service.client.headers["Authorization"] = f"Bearer {token}"
        whole, twice = await _draw(service.client, seed=5), await _draw(service.client, seed=4)
        used = (await service.client.get("/v1/usage")).json()["tokens_per_day"]["used"]
    # The fake's attempt with an even seed lacks one code.
    assert twice > whole + 250
    assert used == whole + twice


async def test_headers_tell_what_is_left_of_each_limit_that_a_key_has(settings: Settings, keys: Keys) -> None:
    token = keys.create("a", (Scope.INFER,), requests_per_minute=3)
    async with running(settings) as service:
        service.client.headers["Authorization"] = f"Bearer {token}"
        seen = [await service.client.get("/v1/models") for _ in range(4)]
    assert [response.status_code for response in seen] == [200, 200, 200, 429]
    assert [response.headers["x-ratelimit-remaining-requests"] for response in seen] == ["2", "1", "0", "0"]
    assert {response.headers["x-ratelimit-limit-requests"] for response in seen} == {"3"}
    assert all(response.headers["x-ratelimit-reset-requests"].endswith(("s", "m0s")) for response in seen)
    assert not any("tokens" in name for name in seen[0].headers if name.startswith("x-ratelimit"))


async def test_without_limits_there_are_no_headers_and_tokens_are_counted_all_the_same(
    settings: Settings, keys: Keys
) -> None:
    token = keys.create("a", (Scope.INFER,))
    async with running(settings) as service:
        service.client.headers["Authorization"] = f"Bearer {token}"
        reported = await _draw(service.client)
        response = await service.client.get("/v1/usage")
    assert not set(NAMES) & set(response.headers)
    body = response.json()
    assert body["tokens_per_day"] | {"reset_seconds": 0} == {
        "limit": None,
        "used": reported,
        "remaining": None,
        "reset_seconds": 0,
    }
    assert body["requests_under_way"] == {"limit": settings.limits.max_requests_per_key, "used": 1}


async def test_a_key_without_tokens_may_still_ask_what_is_left(settings: Settings, keys: Keys) -> None:
    token = keys.create("a", (Scope.INFER,), tokens_per_day=1)
    async with running(settings) as service:
        service.client.headers["Authorization"] = f"Bearer {token}"
        assert (await service.client.post(DRAW, json={"prompt": "x"})).status_code == 429
        service.app.state.service.guard.limiter.reserve(keys.list()[0].identity(), 1)(1)
        refused = await service.client.post(DRAW, json={"prompt": "x"})
        assert (refused.status_code, refused.headers["x-ratelimit-remaining-tokens"]) == (429, "0")
        assert (await service.client.get("/v1/usage")).json()["tokens_per_day"]["remaining"] == 0
        assert (await service.client.get("/v1/models")).status_code == 200


async def test_an_administrator_sees_the_usage_of_another_key_and_nobody_else_does(
    settings: Settings, keys: Keys
) -> None:
    client, admin = keys.create("a", (Scope.INFER,), tokens_per_day=LIMIT), keys.create("b", (Scope.ADMIN,))
    name = client.split("_")[1]
    async with running(settings) as service:
        headers = {"Authorization": f"Bearer {client}"}
        drawn = await service.client.post(DRAW, json={"prompt": "x"}, headers=headers)
        asked = f"/v1/usage?key={name}"
        assert (await service.client.get(asked, headers=headers)).status_code == 403
        headers = {"Authorization": f"Bearer {admin}"}
        body = (await service.client.get(asked, headers=headers)).json()
        assert (await service.client.get("/v1/usage?key=nobody", headers=headers)).status_code == 404
    assert body["client"] == f"key:{name}"
    assert body["tokens_per_day"]["used"] == total(drawn.json()["usage"])


async def test_where_everybody_is_let_in_nobody_is_counted(service: Service) -> None:
    await _draw(service.client)
    response = await service.client.get("/v1/usage")
    assert response.json()["client"] == "anonymous"
    assert response.json()["tokens_per_day"]["used"] == 0
    assert not set(NAMES) & set(response.headers)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (60, "1m0s"), (3600, "1h0m0s"), (86_399, "23h59m59s")]
)
def test_durations_are_written_as_openai_writes_them(seconds: int, text: str) -> None:
    assert duration(seconds) == text


async def test_a_report_that_is_made_after_a_cancel_and_a_retry_is_paid_for(settings: Settings, keys: Keys) -> None:
    token = keys.create("a", (Scope.DICOM,), tokens_per_day=LIMIT)
    poor = keys.create("b", (Scope.DICOM,), tokens_per_day=10)
    changed = quick(settings, quiet_seconds=1.0)
    async with running(changed, durable=True) as service:
        service.client.headers["Authorization"] = f"Bearer {token}"
        data = instance()
        study = str(parsed(data).StudyInstanceUID)
        await stow(service.client, data)
        job = (await service.client.get("/v1/jobs", params={"study": study})).json()["data"][0]["id"]
        assert (await service.client.delete(f"/v1/jobs/{job}")).status_code == 202
        await finished(service.client, study)
        path, other = f"/v1/jobs/{job}/retry", {"Authorization": f"Bearer {poor}"}
        assert (await service.client.post(path, headers=other)).status_code == 429
        assert (await service.client.post(path)).is_success
        while (done := (await service.client.get(f"/v1/jobs/{job}")).json())["state"] != "done":
            await asyncio.sleep(0.05)
        used = (await service.client.get("/v1/usage")).json()["tokens_per_day"]["used"]
    assert done["documents"]
    assert 0 < used < settings.limits.study_tokens
