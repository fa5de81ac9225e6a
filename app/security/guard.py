"""Lets requests in: who they come from, what that client may do, and how much of it."""

import structlog

from app.errors import Forbidden, Unauthenticated
from app.security.identity import ANONYMOUS, Identity, Pseudonyms, Scope
from app.security.keys import Keys
from app.security.limiter import Limiter
from app.security.oidc import Oidc
from app.settings import LOOPBACK, Settings

log = structlog.get_logger(__name__)


class Guard:
    """Authentication, authorisation and limits of the HTTP service."""

    def __init__(self, settings: Settings, pseudonyms: Pseudonyms, oidc: Oidc | None = None) -> None:
        self._keys = Keys(settings.keys_file)
        self._oidc = oidc or (Oidc(settings.auth, pseudonyms) if settings.auth.oidc_issuer else None)
        self._asked = settings.auth.mode == "auto"
        # Decided once. What happens to the file of keys later closes the door, and never opens it.
        self._open = settings.auth.mode == "off" or (
            # Whoever names a file of keys means it to be there: a volume may not be mounted yet.
            self._asked
            and settings.host in LOOPBACK
            and self._oidc is None
            and settings.auth.keys_file is None
            and not self._keys.seen
        )
        if self._open:
            log.warning("no keys: everybody who reaches the port is let in", host=settings.host)
        self._pseudonyms = pseudonyms
        self.limiter = Limiter(settings.limits)

    @property
    def open(self) -> bool:
        """Whether everybody is let in. A first key on loopback closes the door without a restart, for good."""
        if self._open and self._asked and self._keys.seen:
            log.warning("keys found: the service asks for one from now on")
            self._open = False
        return self._open

    async def identify(self, authorization: str, api_key: str) -> Identity:
        """The client of a request, from its Authorization or X-API-Key header. Raises Unauthenticated, Unavailable."""
        if self.open:
            return ANONYMOUS
        scheme, _, value = authorization.partition(" ")
        token = value.strip() if scheme.lower() == "bearer" else api_key.strip()
        if not token:
            raise Unauthenticated("Send an API key: `Authorization: Bearer KEY`.")
        found = self._keys.find(token)
        if found is None and self._oidc is not None and token.count(".") == 2:
            found = await self._oidc.find(token)
        if found is None:
            raise Unauthenticated("The API key is not valid here.")
        return found

    def authorise(self, identity: Identity, *scopes: Scope) -> None:
        """Raises Forbidden where the client has none of the scopes."""
        if not any(identity.may(scope) for scope in scopes):
            raise Forbidden(f"This key lacks the scope {' or '.join(scope.value for scope in scopes)}.")

    def client_of_key(self, key_id: str) -> Identity:
        """The client that shows the key with an id. Raises NotFound, and CxrError where the keys cannot be read."""
        return self._keys.get(key_id).identity()

    def salt(self, identity: Identity) -> str | None:
        """The salt of a client's prefix cache: the speed of a shared one would reveal what other clients asked."""
        return None if identity is ANONYMOUS else self._pseudonyms(f"cache {identity.id}")

    def key(self, purpose: str) -> bytes:
        """A key of its own for a purpose, from the installation's secret."""
        return self._pseudonyms.key(purpose)

    def pseudonym(self, prompt: str) -> str:
        """The same for the same prompt on this installation; it cannot be found by guessing prompts elsewhere."""
        return self._pseudonyms(f"prompt {prompt}")
