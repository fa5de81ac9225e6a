"""Bearer tokens of an OpenID Connect provider: JWTs checked against its published keys (RFC 7519, RFC 9068)."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import jwt

from app.errors import Unauthenticated
from app.security.identity import Identity, Scope, is_tenant
from app.security.jwks import KeySet
from app.settings import DEFAULT_TENANT, AuthSettings

# Signatures by public keys only: a token signed with the published key as a shared secret is refused (RFC 8725 3.1).
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_LEEWAY_SECONDS = 30.0
# Claims of an ID token (OpenID Connect Core 2, 3.3.2.11): it tells an application who a person is and lets nobody in.
_OF_ID_TOKENS = ("nonce", "at_hash", "c_hash", "s_hash")
# Providers name the kind of a token in a claim of their own: Keycloak, Cognito.
_KINDS = {"typ": "id", "token_use": "id"}
_NOT_VALID = "The bearer token is not valid here."


class Oidc:
    """Checks tokens of one issuer for one audience."""

    def __init__(
        self,
        settings: AuthSettings,
        pseudonym: Callable[[str], str],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`pseudonym` is what an issuer and a subject, which may be a person's address, become in logs and limits."""
        self._issuer = str(settings.oidc_issuer)
        self._audience = str(settings.oidc_audience)
        self._claim = settings.oidc_scope_claim
        self._prefix = settings.oidc_scope_prefix
        self._tenant_claim = settings.oidc_tenant_claim
        self._pseudonym = pseudonym
        self.keys = KeySet(str(settings.oidc_jwks_url), transport)

    async def find(self, token: str) -> Identity:
        """The client of a token. Raises Unauthenticated, Unavailable where the provider's keys cannot be had."""
        try:
            header = jwt.get_unverified_header(token)
            key = await self.keys.find(str(header.get("kid", "")))
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError, OverflowError) as error:
            raise Unauthenticated(_NOT_VALID) from error
        if _is_id_token(claims):
            raise Unauthenticated("An ID token lets nobody in: send an access token.")
        bare = {name.removeprefix(self._prefix) for name in self._names(claims) if name.startswith(self._prefix)}
        scopes = frozenset(scope for scope in Scope if scope.value in bare)
        subject = self._pseudonym(f"{self._issuer} {claims['sub']}")
        return Identity(f"oidc:{subject}", scopes, tenant=self._tenant(claims))

    def _tenant(self, claims: Mapping[str, Any]) -> str:
        """The tenant of a token. Raises Unauthenticated where it should name one and does not."""
        if self._tenant_claim is None:
            return DEFAULT_TENANT
        given = claims.get(self._tenant_claim)
        if isinstance(given, str) and is_tenant(given):
            return given
        raise Unauthenticated(f"The claim {self._tenant_claim} of the bearer token names no tenant.")

    def _names(self, claims: Mapping[str, Any]) -> list[str]:
        """The scopes of a token, a text with blanks between (RFC 8693 4.2) or a list. Raises Unauthenticated."""
        given = claims.get(self._claim)
        if given is None:
            return []
        if isinstance(given, str):
            return given.split()
        if isinstance(given, list) and all(isinstance(name, str) for name in given):
            return given
        raise Unauthenticated(f"The claim {self._claim} of the bearer token is neither a text nor a list of texts.")


def _is_id_token(claims: Mapping[str, Any]) -> bool:
    named = any(str(claims.get(claim, "")).lower() == kind for claim, kind in _KINDS.items())
    return named or any(claim in claims for claim in _OF_ID_TOKENS)
