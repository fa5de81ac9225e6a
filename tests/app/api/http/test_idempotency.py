"""Idempotency-Key: one request, one generation, one answer, however often it is sent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.errors import Overloaded
from app.security.identity import Scope
from app.security.keys import Keys
from app.server.run import Server
from app.settings import Settings
from app.store.kept import KeptAnswers
from app.store.tables import kept as kept_table
from tests.support.findings import FINDINGS
from tests.support.service import Service, encoded, gradient, running

IMAGE = encoded(gradient())
OTHER_IMAGE = encoded(gradient(320))
KEY = {"Idempotency-Key": "4f5b-1"}
DRAW = "/v1/images/generations"
Send = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
async def kept(settings: Settings) -> AsyncIterator[Service]:
    async with running(settings, durable=True, findings=FINDINGS) as service:
        yield service


def _uri(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], "modalities": ["text", "image"]}


def _json(url: str, **body: Any) -> Send:
    return lambda client, headers: client.post(url, json=body, headers=headers)


def _form(url: str, accept: str = "*/*", **form: Any) -> Send:
    def send(client: httpx.AsyncClient, headers: dict[str, str]) -> Awaitable[httpx.Response]:
        return client.post(url, data=form, files={"image": IMAGE}, headers={**headers, "Accept": accept})

    return send


WORK = {
    "drawing": _json(DRAW, prompt="x"),
    "drawings streamed": _json(DRAW, prompt="x", n=2, stream=True, partial_images=1),
    "drawing by URL": _json(DRAW, prompt="x", response_format="url"),
    "edit": _form("/v1/images/edits", prompt="x"),
    "report": _form("/v1/reports"),
    "report as text": _form("/v1/reports", "text/plain"),
    "report streamed": _form("/v1/reports", "text/event-stream"),
    "answers": _form("/v1/answers", question="Is there pneumonia?"),
    "findings": _form("/v1/findings"),
    "chat": _json("/v1/chat/completions", **_uri("x")),
    "chat streamed": _json("/v1/chat/completions", **_uri("x"), stream=True),
}


@pytest.mark.parametrize("send", WORK.values(), ids=WORK)
async def test_the_same_request_is_answered_the_same_and_generated_once(kept: Service, send: Send) -> None:
    first = await send(kept.client, KEY)
    made = len(kept.engine.generations)
    again = await send(kept.client, KEY)
    assert (first.status_code, again.status_code) == (200, 200)
    assert len(kept.engine.generations) == made > 0
    assert again.content == first.content
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await send(kept.client, {})).status_code == 200
    assert len(kept.engine.generations) == 2 * made


@pytest.mark.parametrize("send", [WORK["drawing"], WORK["report streamed"]], ids=["whole", "streamed"])
async def test_requests_that_come_at_once_wait_for_one_generation(kept: Service, send: Send) -> None:
    kept.engine.step_seconds = 0.03
    answers = await asyncio.gather(*(send(kept.client, KEY) for _ in range(6)))
    assert len(kept.engine.generations) == 1
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 5


@pytest.mark.parametrize(
    "other",
    [
        _json(DRAW, prompt="y"),
        _json(DRAW, prompt="x", n=2),
        _json(DRAW, prompt="x", stream=True),
        _form("/v1/images/edits", prompt="x"),
        _form("/v1/reports"),
    ],
    ids=["text", "number", "stream", "path", "route"],
)
async def test_a_key_stands_for_one_request(kept: Service, other: Send) -> None:
    await WORK["drawing"](kept.client, KEY)
    refused = await other(kept.client, KEY)
    assert refused.status_code == 422
    assert "idempotency_key_reused" in refused.text


async def test_another_image_is_another_request(kept: Service) -> None:
    for image, status in ((IMAGE, 200), (IMAGE, 200), (OTHER_IMAGE, 422)):
        answer = await kept.client.post("/v1/reports", files={"image": image}, headers=KEY)
        assert answer.status_code == status
    accepts = {**KEY, "Accept": "text/plain"}
    assert (await kept.client.post("/v1/reports", files={"image": IMAGE}, headers=accepts)).status_code == 422


@pytest.mark.parametrize("send", [WORK["drawing"], WORK["drawings streamed"]], ids=["whole", "streamed"])
async def test_what_fails_is_not_kept(kept: Service, send: Send) -> None:
    kept.engine.enqueue_failure(Overloaded("The queue is full."))
    assert (await send(kept.client, KEY)).status_code == 429
    answer = await send(kept.client, KEY)
    assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (200, False)


async def test_a_stream_that_ends_in_an_error_is_not_kept(kept: Service) -> None:
    kept.engine.aborts_after = 1
    first = await WORK["report streamed"](kept.client, KEY)
    assert "generation_aborted" in first.text
    kept.engine.aborts_after = None
    again = await WORK["report streamed"](kept.client, KEY)
    assert "report.completed" in again.text
    assert "Idempotent-Replayed" not in again.headers


async def test_a_refused_request_leaves_the_key_free(kept: Service) -> None:
    assert (await _json(DRAW, prompt="x", size="9x9")(kept.client, KEY)).status_code == 400
    assert (await WORK["drawing"](kept.client, KEY)).status_code == 200


@pytest.mark.parametrize("send", [WORK["drawing"], WORK["drawings streamed"]], ids=["whole", "streamed"])
async def test_a_client_that_left_may_send_again_at_once(kept: Service, send: Send) -> None:
    kept.engine.step_seconds = 0.05
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await send(kept.client, KEY)
    kept.engine.step_seconds = 0.0
    async with asyncio.timeout(5.0):
        answer = await send(kept.client, KEY)
    assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (200, False)


async def test_a_key_is_its_clients(settings: Settings) -> None:
    tokens = [Keys(settings.keys_file).create(name, (Scope.INFER,)) for name in "ab"]
    async with running(settings, durable=True) as service:
        drawn = [
            (await WORK["drawing"](service.client, {**KEY, "Authorization": f"Bearer {token}"})).content
            for token in (*tokens, tokens[0])
        ]
    assert drawn[0] == drawn[2] != drawn[1]


@pytest.mark.parametrize("keys", [[""], ["x" * 256], ["a", "b"], ["a\tb"]], ids=["empty", "long", "two", "tab"])
async def test_what_is_no_key_is_refused(kept: Service, keys: list[str]) -> None:
    headers = [("Idempotency-Key", key) for key in keys]
    answer = await kept.client.post(DRAW, json={"prompt": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "idempotency_key")


async def test_a_full_store_refuses_before_anything_is_generated(settings: Settings) -> None:
    limits = settings.limits.model_copy(update={"max_kept_mb": 1})
    async with running(settings.model_copy(update={"limits": limits}), durable=True) as service:
        answers: KeptAnswers = service.app.state.service.kept
        await answers.keep("x", "other", bytes(1_000_001), 60.0)
        refused = await WORK["drawing"](service.client, KEY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "no_room_to_keep")
        assert not service.engine.generations
        assert (await WORK["drawing"](service.client, {})).status_code == 200


async def test_an_answer_outlives_a_restart(settings: Settings) -> None:
    answers = []
    for _ in range(2):
        async with running(settings, durable=True) as service:
            answers.append(await WORK["report"](service.client, KEY))
    assert answers[0].content == answers[1].content
    assert answers[1].headers["Idempotent-Replayed"] == "true"


async def test_a_client_without_tokens_gets_its_earlier_answer(settings: Settings) -> None:
    token = Keys(settings.keys_file).create("a", (Scope.INFER,), tokens_per_day=2_000)
    headers = {**KEY, "Authorization": f"Bearer {token}"}
    async with running(settings, durable=True) as service:
        first = await WORK["drawing"](service.client, headers)
        limiter, client = service.app.state.service.guard.limiter, Keys(settings.keys_file).list()[0].identity()
        limiter.reserve(client, limiter.tokens(client).remaining)
        assert (await WORK["drawing"](service.client, headers)).content == first.content
        fresh = {**headers, "Idempotency-Key": "another"}
        assert (await WORK["drawing"](service.client, fresh)).status_code == 429


async def test_an_answer_with_urls_is_kept_as_long_as_they_are(kept: Service) -> None:
    await WORK["drawing by URL"](kept.client, KEY)
    database = kept.app.state.service.studies.database
    with database.reading() as connection:
        latest = connection.execute(sa.select(sa.func.max(kept_table.c.expires))).scalar_one()
        assert latest < database.now(connection) + 3_601


async def test_a_full_store_refuses_drawings_by_url_before_they_are_drawn(settings: Settings) -> None:
    limits = settings.limits.model_copy(update={"max_kept_mb": 1})
    async with running(settings.model_copy(update={"limits": limits}), durable=True) as service:
        await service.app.state.service.kept.keep("x", "other", bytes(1_000_001), 60.0)
        for send in (WORK["drawing by URL"], _form("/v1/images/edits", prompt="x", response_format="url")):
            assert (await send(service.client, {})).status_code == 507
        assert not service.engine.generations


async def test_a_stream_is_kept_at_the_pace_of_the_work_and_not_of_its_reader(settings: Settings) -> None:
    free = settings.model_copy(update={"port": 0})
    service = Service(free, durable=True)
    body = {"prompt": "x", "n": 10, "stream": True, "output_format": "dicom"}
    async with Server(service.app, free).running() as server, httpx.AsyncClient(base_url=server.url) as client:
        await service.app.state.service.lifecycle.settled.wait()
        async with client.stream("POST", DRAW, json=body, headers=KEY, timeout=20.0) as slow:
            pieces = slow.aiter_raw()
            await anext(pieces)  # and then nothing for a while
            again = await client.post(DRAW, json=body, headers=KEY, timeout=20.0)
            assert again.headers["Idempotent-Replayed"] == "true"
            assert b"".join([piece async for piece in pieces]) in again.content
    assert len(service.engine.generations) == 10
