"""The published keys of an identity provider (RFC 7517), fetched so that a slow or hostile one stops nobody."""

import asyncio
import json
import time

import httpx
import jwt
import structlog

from app.errors import CxrError, Unauthenticated, Unavailable

log = structlog.get_logger(__name__)

_FRESH_SECONDS = 300.0
_FETCH_SECONDS = 5.0
_MOST_BYTES = 1_000_000
_MOST_KEYS = 100
# After a fetch that did not bring the key that was asked for, the next waits so long, doubled each time up to the last.
_AGAIN_SECONDS = 10.0
_LONGEST_SECONDS = 300.0


class KeySet:
    """The keys at one URL. A key that is held is answered at once; others wait for one fetch at most."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url
        self._transport = transport
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._wait = _AGAIN_SECONDS
        self._task: asyncio.Task[None] | None = None
        self._failure: CxrError | None = None

    async def find(self, identity: str) -> jwt.PyJWK:
        """The key of that id. Raises Unauthenticated, Unavailable where the provider was never reached."""
        age = time.monotonic() - self._fetched
        held = self._keys.get(identity)
        if held is not None:
            if age > _FRESH_SECONDS:
                # In the background: what is held is good until the provider says otherwise.
                self._refresh()
            return held
        # An unknown id may be a new key. Invented ids must not make the service fetch the key set at will.
        asked = self._task is not None or age > self._wait
        if asked:
            await asyncio.wait([self._refresh()])
        if not self._keys and self._failure is not None:
            raise self._failure
        found = self._keys.get(identity)
        if found is None:
            if asked:
                self._wait = min(self._wait * 2, _LONGEST_SECONDS)
            raise Unauthenticated("The bearer token is not valid here.")
        self._wait = _AGAIN_SECONDS
        return found

    def _refresh(self) -> "asyncio.Task[None]":
        if self._task is None:
            self._fetched = time.monotonic()
            self._task = asyncio.create_task(self._fetch())
        return self._task

    async def _fetch(self) -> None:
        try:
            self._keys, self._failure = await self._fetched_keys(), None
        except CxrError as failure:
            log.error("jwks not available", error=type(failure.__cause__).__name__)
            self._failure = failure
        finally:
            self._task = None

    async def _fetched_keys(self) -> dict[str, jwt.PyJWK]:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                text = await self._read()
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            raise Unavailable("The identity provider's keys cannot be had.") from error
        try:
            found = jwt.PyJWKSet.from_dict(json.loads(text)).keys[:_MOST_KEYS]
        except (ValueError, TypeError, AttributeError, RecursionError, jwt.PyJWTError) as error:
            raise Unauthenticated("The identity provider's keys are damaged; no bearer token is valid.") from error
        # A key for encryption signs nothing (RFC 7517 4.2).
        return {str(key.key_id or ""): key for key in found if key.public_key_use in (None, "sig")}

    async def _read(self) -> bytes:
        client = httpx.AsyncClient(timeout=_FETCH_SECONDS, transport=self._transport)
        async with client, client.stream("GET", self._url) as response:
            response.raise_for_status()
            parts, length = [], 0
            async for part in response.aiter_bytes():
                parts.append(part)
                length += len(part)
                if length > _MOST_BYTES:
                    raise ValueError("the key set is longer than any may be")
            return b"".join(parts)
