"""Bearer tokens of an OpenID Connect provider: JWTs checked against its published keys (RFC 7519, RFC 7517)."""

import asyncio
import hashlib
import time

import httpx
import jwt
import structlog

from app.errors import Unauthenticated, Unavailable
from app.security.identity import Identity, Scope
from app.settings import AuthSettings

log = structlog.get_logger(__name__)

# Signatures by public keys only: a token signed with the published key as a shared secret is refused (RFC 8725 3.1).
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_FRESH_SECONDS = 300.0
_AGAIN_SECONDS = 10.0
_LEEWAY_SECONDS = 30.0


class Oidc:
    """Checks tokens of one issuer for one audience."""

    def __init__(self, settings: AuthSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._issuer = str(settings.oidc_issuer)
        self._audience = str(settings.oidc_audience)
        self._url = str(settings.oidc_jwks_url)
        self._claim = settings.oidc_scope_claim
        self._prefix = settings.oidc_scope_prefix
        self._transport = transport
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, token: str) -> Identity:
        """The client of a token. Raises Unauthenticated, Unavailable where the provider's keys cannot be had."""
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(str(header.get("kid", "")))
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated("The bearer token is not valid here.") from error
        given = claims.get(self._claim, "")
        names = given.split() if isinstance(given, str) else [str(name) for name in given or ()]
        bare = {name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix)}
        scopes = frozenset(scope for scope in Scope if scope.value in bare)
        # A subject may be a person's address.
        subject = hashlib.sha256(f"{self._issuer} {claims['sub']}".encode()).hexdigest()[:16]
        return Identity(f"oidc:{subject}", scopes)

    async def _key(self, identity: str) -> jwt.PyJWK:
        async with self._lock:
            age = time.monotonic() - self._fetched
            # An unknown key id may be a new key. Invented ids must not make the service fetch the key set at will.
            if age > _FRESH_SECONDS or (identity not in self._keys and age > _AGAIN_SECONDS):
                await self._fetch()
        try:
            return self._keys[identity]
        except KeyError:
            raise Unauthenticated("The bearer token is not valid here.") from None

    async def _fetch(self) -> None:
        self._fetched = time.monotonic()
        try:
            async with httpx.AsyncClient(timeout=5.0, transport=self._transport) as client:
                response = await client.get(self._url)
                response.raise_for_status()
                found = jwt.PyJWKSet.from_dict(response.json())
        except (httpx.HTTPError, ValueError, jwt.PyJWTError) as error:
            log.error("jwks not available", error=type(error).__name__)
            if not self._keys:
                raise Unavailable("The identity provider's keys cannot be had.") from error
            return
        self._keys = {str(key.key_id or ""): key for key in found.keys}
