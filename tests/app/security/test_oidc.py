"""Bearer tokens of an identity provider."""

import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app.errors import Unauthenticated, Unavailable
from app.security.identity import Scope
from app.security.oidc import Oidc
from app.settings import AuthSettings

ISSUER = "https://id.example"
SETTINGS = AuthSettings(
    oidc_issuer=ISSUER, oidc_audience="cxr", oidc_jwks_url=f"{ISSUER}/jwks", oidc_scope_prefix="cxr."
)


class Provider:
    """An identity provider with one RSA key."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.kid = "one"
        self.fetches = 0
        self.down = False

    def respond(self, _: httpx.Request) -> httpx.Response:
        self.fetches += 1
        if self.down:
            return httpx.Response(500)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return httpx.Response(200, json={"keys": [{**public, "kid": self.kid, "use": "sig", "alg": "RS256"}]})

    def token(self, **claims: Any) -> str:
        known = {"iss": ISSUER, "aud": "cxr", "sub": "doe@example.org", "exp": time.time() + 60}
        body = {**known, "scope": "openid cxr.infer", **claims}
        return jwt.encode(
            {name: value for name, value in body.items() if value is not None},
            self.key,
            algorithm="RS256",
            headers={"kid": self.kid},
        )

    @property
    def oidc(self) -> Oidc:
        return Oidc(SETTINGS, httpx.MockTransport(self.respond))


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
    oidc._fetched -= 11
    assert (await oidc.find(provider.token())).may(Scope.INFER)
    assert provider.fetches == 2


async def test_a_provider_that_is_down_is_503_until_its_keys_are_known_and_then_does_not_matter() -> None:
    provider = Provider()
    oidc = provider.oidc
    provider.down = True
    with pytest.raises(Unavailable):
        await oidc.find(provider.token())
    provider.down, oidc._fetched = False, float("-inf")
    await oidc.find(provider.token())
    provider.down, oidc._fetched = True, float("-inf")
    assert (await oidc.find(provider.token())).may(Scope.INFER)
