"""JSON under limits: what would cost more than it can mean is refused before anything is built of it."""

import json
import time
from typing import Any

import pytest
from fastapi import HTTPException

from app.api.http.json_body import MOST_ITEMS, _BoundedRequest, parse
from tests.support.service import Service

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("value", [{}, [], "x", 5, None, {"a": [1, 2.5, "ü", {"b": None}]}, [0] * 10_000])
def test_json_is_what_it_says(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 400_000,
        b"[" * 300 + b"]" * 300,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b'{"messages": [' + b"{}," * 3_000_000 + b"{}]}",
        b'{"messages": [' + b"1," * 60_000 + b"1]}",
        b'{"model": "fake-1",}',
        b"",
        b"\xff\xfe{}",
        b"{}{}",
        b"NaN[",
    ],
    ids=["brackets", "nested", "objects", "messages", "numbers", "comma", "empty", "utf-16", "two", "nan"],
)
async def test_what_is_no_json_or_too_much_is_400_at_once(service: Service, body: bytes) -> None:
    started = time.process_time()
    with pytest.raises(HTTPException) as refused:
        parse(body)
    assert refused.value.status_code == 400
    # Of a megabyte a few milliseconds; building it took seconds and gigabytes.
    assert time.process_time() - started < 0.5
    if len(body) < 1_000_000:
        response = await service.client.post("/v1/chat/completions", content=body, headers=JSON)
        assert response.status_code == 400
        assert response.json()["error"]["message"]


async def test_many_invalid_messages_end_with_a_short_error(service: Service) -> None:
    body = {"messages": [{"role": "x", "content": [{"type": "y"}] * 40}] * 900}
    assert len(json.dumps(body)) > 500_000
    response = await service.client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert len(response.text) < 5_000
    many = {"messages": [{"role": "user", "content": "x"}] * 1_001}
    response = await service.client.post("/v1/chat/completions", json=many)
    assert response.json()["error"]["param"] == "messages"
    assert MOST_ITEMS > 10_000


@pytest.mark.parametrize("size", [10, 300_000])
async def test_of_a_large_body_the_text_is_not_kept_beside_what_it_says(size: int) -> None:
    text = json.dumps({"prompt": "a" * size}).encode()
    pieces = [{"type": "http.request", "body": text[:7], "more_body": True}, {"type": "http.request", "body": text[7:]}]

    async def receive() -> dict[str, Any]:
        return pieces.pop(0)

    request = _BoundedRequest({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)
    kept = await request.body()
    assert await request.json() == {"prompt": "a" * size}
    assert len(kept) < 100
