"""An identity provider for tests."""

import time
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from app.security.identity import Pseudonyms
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
        return Oidc(SETTINGS, Pseudonyms(b"secret"), httpx.MockTransport(self.respond))
