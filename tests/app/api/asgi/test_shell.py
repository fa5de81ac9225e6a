"""HEAD wherever GET is; errors that nobody foresaw; paths that are not offered; pages of named sites."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import REGISTRY

from app.api.http import forms
from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import HttpSettings, Settings
from tests.support.service import Service, encoded, gradient, running

SURROGATE = b'{"messages": [{"role": "user", "content": "hi \\ud83e"}]}'
IN_PARTS = SURROGATE.replace(b'"hi', b'[{"type": "text", "text": "hi').replace(b'e"}', b'e"}]}')
GETS = "/ /livez /readyz /startupz /health /version /metrics /v1/models /docs /v1/jobs /dicom-web/studies"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def broken(settings: Settings) -> AsyncIterator[Service]:
    """A service with a defect in its codec."""
    async with running(settings) as service:

        async def encode(pixels: object) -> list[int]:
            raise ZeroDivisionError("secret")

        service.codec.encode = encode  # type: ignore[method-assign,assignment]
        yield service


async def test_an_unforeseen_error_is_answered_counted_and_protected_as_any_other(broken: Service) -> None:
    labels = {"route": "/v1/reports", "method": "POST", "status": "500", "task": "report"}
    before = REGISTRY.get_sample_value("cxr_http_requests_total", labels) or 0.0
    response = await broken.client.post("/v1/reports", files={"image": encoded(gradient())})
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert response.headers["X-Request-Id"] == response.json()["request_id"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert "secret" not in response.text
    assert REGISTRY.get_sample_value("cxr_http_requests_total", labels) == before + 1


@pytest.mark.parametrize(
    "body", [SURROGATE, SURROGATE.replace(b'"hi', b'[{"type": "text", "text": "hi').replace(b'e"}', b'e"}]}')]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_half_a_character_is_400(service: Service, body: bytes, stream: bool) -> None:
    given = json.loads(body)
    content = json.dumps({**given, "stream": stream}).encode()
    response = await service.client.post("/v1/chat/completions", content=content, headers=JSON)
    assert response.status_code == 400
    assert "half a character" in response.json()["error"]["message"]


async def test_a_large_upload_on_a_full_disk_is_507(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(forms, "TemporaryFile", full)
    files = {"image": encoded(gradient()) + bytes(3_000_000)}
    response = await service.client.post("/v1/reports", files=files)
    assert (response.status_code, response.json()["code"]) == (507, "out_of_space")


async def test_head_is_answered_wherever_get_is(settings: Settings) -> None:
    async with running(settings, durable=True) as service:
        for path in (
            "/",
            "/livez",
            "/readyz",
            "/startupz",
            "/health",
            "/version",
            "/metrics",
            "/v1/models",
            "/docs",
            "/v1/jobs",
            "/dicom-web/studies",
        ):
            got, headed = await service.client.get(path), await service.client.head(path)
            assert headed.status_code == got.status_code, path
            assert headed.headers["content-type"] == got.headers["content-type"]
        assert (await service.client.head("/v1/reports")).status_code == 405


@pytest.mark.parametrize(
    "path", ["/v1/responses", "/v1/completions", "/v1/embeddings", "/v1/files", "/v1/images/variations", "/v1/"]
)
@pytest.mark.parametrize("scope", [Scope.INFER, Scope.DICOM, Scope.ADMIN])
async def test_what_is_not_offered_is_404_in_openais_shape_for_any_key(
    settings: Settings, path: str, scope: Scope
) -> None:
    token = Keys(settings.keys_file).create("a", (scope,))
    async with running(settings) as service:
        for method in ("GET", "POST"):
            response = await service.client.request(method, path, headers={"X-API-Key": token})
            assert response.status_code == 404, (method, response.text)
            assert "/v1/chat/completions" in response.json()["error"]["message"]
            assert (await service.client.request(method, path)).status_code == 401


async def test_the_model_says_how_long_it_may_be_asked(service: Service) -> None:
    (model,) = (await service.client.get("/v1/models")).json()["data"]
    assert model["max_model_len"] == service.engine.max_model_len
    assert model["max_tokens"] == 512


ORIGIN = "https://viewer.example:8443"


async def ask(client: httpx.AsyncClient, origin: str) -> tuple[httpx.Response, httpx.Response]:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    before = await client.options("/v1/reports", headers=asked)
    sent = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    return before, await client.post("/v1/reports", files={"image": encoded(gradient())}, headers=sent)


async def test_pages_of_named_sites_may_call_and_no_others(settings: Settings) -> None:
    named = settings.model_copy(update={"http": HttpSettings(origins=(ORIGIN,))})
    async with running(named) as service:
        before, answer = await ask(service.client, ORIGIN)
        assert (before.status_code, answer.status_code) == (200, 200)
        assert before.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        before, answer = await ask(service.client, "https://evil.example")
        assert (before.status_code, answer.status_code) == (400, 403)
        assert "access-control-allow-origin" not in answer.headers
    async with running(settings) as service:
        before, answer = await ask(service.client, ORIGIN)
        assert answer.status_code == 403
        assert not any(name.startswith("access-control") for name in [*before.headers, *answer.headers])


async def test_pages_of_named_sites_may_send_what_their_clients_add(settings: Settings) -> None:
    added = "authorization, content-type, traceparent, x-stainless-lang, x-stainless-retry-count, openai-organization"
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": added}
    async with running(settings.model_copy(update={"http": HttpSettings(origins=(ORIGIN,))})) as service:
        before = await service.client.options("/v1/chat/completions", headers=asked)
        assert before.status_code == 200
        allowed = {name.strip() for name in before.headers["access-control-allow-headers"].lower().split(",")}
        assert allowed >= set(added.split(", "))
        assert "access-control-allow-credentials" not in before.headers
        asked["Origin"] = "https://evil.example"
        foreign = await service.client.options("/v1/chat/completions", headers=asked)
        assert (foreign.status_code, foreign.headers.get("access-control-allow-origin")) == (400, None)


@pytest.mark.parametrize("origin", ["*", "viewer.example", "https://viewer.example/", "null", "ftp://x", "https://a b"])
def test_an_origin_is_a_scheme_and_a_name(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        HttpSettings(origins=(origin,))
