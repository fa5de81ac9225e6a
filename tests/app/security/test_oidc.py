"""Bearer tokens of an identity provider."""

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app.errors import Unauthenticated, Unavailable
from app.security import jwks
from app.security.identity import Pseudonyms, Scope
from app.security.oidc import Oidc
from tests.support.oidc import ISSUER, SETTINGS, Provider


async def test_a_token_gives_its_scopes_and_a_pseudonym_of_its_subject() -> None:
    provider = Provider()
    found = await provider.oidc.find(provider.token())
    assert found.scopes == {Scope.INFER}
    assert "doe" not in found.id


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": time.time() - 3600},
        {"aud": "other"},
        {"iss": "https://evil.example"},
        {"exp": None},
        {"sub": None},
        {"nbf": time.time() + 3600},
    ],
)
async def test_a_token_that_is_not_for_us_is_refused(claims: dict[str, Any]) -> None:
    provider = Provider()
    with pytest.raises(Unauthenticated):
        await provider.oidc.find(provider.token(**claims))


async def test_tokens_signed_by_another_or_with_no_key_are_refused() -> None:
    provider, other = Provider(), Provider()
    oidc = provider.oidc
    unsigned = jwt.encode({"iss": ISSUER, "aud": "cxr", "sub": "x", "exp": time.time() + 60}, None, algorithm="none")
    shared = jwt.encode({"sub": "x"}, b"x" * 64, algorithm="HS256", headers={"kid": "one"})
    for token in (other.token(), unsigned, shared, "a.b.c", ""):
        with pytest.raises(Unauthenticated):
            await oidc.find(token)


async def test_a_new_key_is_fetched_and_unknown_ones_do_not_make_us_ask_again_and_again() -> None:
    provider = Provider()
    oidc = provider.oidc
    await oidc.find(provider.token())
    provider.key, provider.kid = rsa.generate_private_key(65537, 2048), "two"
    with pytest.raises(Unauthenticated):
        await oidc.find(provider.token())
    assert provider.fetches == 1
    oidc.keys._fetched -= 11
    assert (await oidc.find(provider.token())).may(Scope.INFER)
    assert provider.fetches == 2


async def test_a_provider_that_is_down_is_503_until_its_keys_are_known_and_then_does_not_matter() -> None:
    provider = Provider()
    oidc = provider.oidc
    provider.down = True
    with pytest.raises(Unavailable):
        await oidc.find(provider.token())
    provider.down, oidc.keys._fetched = False, float("-inf")
    await oidc.find(provider.token())
    provider.down, oidc.keys._fetched = True, float("-inf")
    assert (await oidc.find(provider.token())).may(Scope.INFER)


async def test_a_known_key_is_answered_while_a_slow_provider_is_asked_for_an_invented_one() -> None:
    provider = Provider()
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        if provider.fetches:
            begun.set()
            await release.wait()
        return provider.respond(request)

    oidc = Oidc(SETTINGS, Pseudonyms(b"secret"), httpx.MockTransport(slow))
    good = provider.token()
    await oidc.find(good)
    oidc.keys._fetched = float("-inf")
    provider.kid = "invented"
    invented = asyncio.create_task(oidc.find(provider.token()))
    await begun.wait()
    assert [(await oidc.find(good)).may(Scope.INFER) for _ in range(3)] == [True] * 3
    provider.kid = "one"
    release.set()
    with pytest.raises(Unauthenticated):
        await invented
    assert provider.fetches == 2


async def test_a_provider_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "_FETCH_SECONDS", 0.3)

    async def drip() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.05)
            yield b" "

    oidc = Oidc(SETTINGS, Pseudonyms(b"secret"), httpx.MockTransport(lambda _: httpx.Response(200, content=drip())))
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await oidc.find(Provider().token())


async def test_a_key_set_without_an_end_is_not_read_to_it() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 100_000
            yield b" " * 100_000

    oidc = Oidc(SETTINGS, Pseudonyms(b"secret"), httpx.MockTransport(lambda _: httpx.Response(200, content=endless())))
    with pytest.raises(Unavailable):
        await oidc.find(Provider().token())
    assert sent < 2_000_000


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b"5", b'"x"', b"{}", b'{"keys": 5}', b'{"keys": [5]}', b"[" * 100_000, b"<html>", b"\xff"]
)
async def test_a_damaged_key_set_is_401_in_words_and_known_keys_stay_good(body: bytes) -> None:
    provider, damaged = Provider(), False

    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body) if damaged else provider.respond(request)

    oidc = Oidc(SETTINGS, Pseudonyms(b"secret"), httpx.MockTransport(respond))
    await oidc.find(provider.token())
    damaged, oidc.keys._fetched = True, float("-inf")
    await oidc.find(provider.token())
    provider.kid = "other"
    oidc.keys._fetched = float("-inf")
    with pytest.raises(Unauthenticated):
        await oidc.find(provider.token())
    provider.kid = "one"
    assert (await oidc.find(provider.token())).may(Scope.INFER)
    fresh = Oidc(SETTINGS, Pseudonyms(b"secret"), httpx.MockTransport(respond))
    with pytest.raises(Unauthenticated):
        await fresh.find(provider.token())


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": 5}, {"scope": {"a": 1}}, {"scope": [1, 2]}, {"scope": True}, {"sub": 5}, {"aud": 5}, {"exp": "soon"},
        {"exp": 1e400}, {"nbf": []}, {"iat": {}}, {"nonce": "n"}, {"at_hash": "h"}, {"typ": "ID"}, {"token_use": "id"},
    ],
)  # fmt: skip
async def test_odd_claims_and_id_tokens_are_401(claims: dict[str, Any]) -> None:
    provider = Provider()
    with pytest.raises(Unauthenticated):
        await provider.oidc.find(provider.token(**claims))


async def test_a_key_for_encryption_signs_nothing() -> None:
    provider = Provider()

    def respond(request: httpx.Request) -> httpx.Response:
        (key,) = provider.respond(request).json()["keys"]
        return httpx.Response(200, json={"keys": [{**key, "use": "enc"}]})

    with pytest.raises(Unauthenticated):
        await Oidc(SETTINGS, Pseudonyms(b"secret"), httpx.MockTransport(respond)).find(provider.token())


async def test_invented_keys_are_asked_for_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    provider, now = Provider(), 1000.0
    monkeypatch.setattr(jwks, "time", SimpleNamespace(monotonic=lambda: now))
    oidc = provider.oidc
    good = provider.token()
    provider.kid = "invented"
    invented = provider.token()
    provider.kid = "one"
    for second in range(600):
        now = 1000.0 + second
        assert (await oidc.find(good)).may(Scope.INFER)
        with pytest.raises(Unauthenticated):
            await oidc.find(invented)
    assert provider.fetches <= 8


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("ward-3", "ward-3"),
        ("*", "*"),
        (None, None),
        ("", None),
        ("a b", None),
        (["ward-3"], None),
        (3, None),
        ({}, None),
    ],
)
async def test_a_token_names_its_tenant_where_a_claim_is_set_for_it(claim: Any, expected: str | None) -> None:
    provider = Provider()
    settings = SETTINGS.model_copy(update={"oidc_tenant_claim": "ward"})
    oidc = Oidc(settings, Pseudonyms(b"secret"), httpx.MockTransport(provider.respond))
    if expected is None:
        with pytest.raises(Unauthenticated, match="ward"):
            await oidc.find(provider.token(ward=claim))
    else:
        assert (await oidc.find(provider.token(ward=claim))).tenant == expected
    assert (await provider.oidc.find(provider.token(ward=claim))).tenant == "default"
