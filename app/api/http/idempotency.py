"""`Idempotency-Key`: a request that is sent again with its key gets the answer that was made the first time.

As the IETF's draft of the header (draft-ietf-httpapi-idempotency-key-header) has it: a key is its client's, and stands
for one request. What fails is not kept: the request may be sent again.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from app.api.http.context import Context
from app.api.request_scope import request_scope
from app.api.state import state_of
from app.errors import InvalidRequest, KeyReused, Unavailable
from app.ids import new_id
from app.store.kept import CLAIM_SECONDS, Claim, KeptAnswers

log = structlog.get_logger(__name__)

KEPT_SECONDS = 86_400.0
HEADER = "idempotency-key"
_LONGEST = 255
_POLL_SECONDS = 0.2
_REPLAYED = {"Idempotent-Replayed": "true"}


class Once:
    """A request that has a key: its earlier answer, or the claim to make it."""

    def __init__(self, kept: KeptAnswers, owner: str, name: str, digest: str) -> None:
        self._kept = kept
        self._owner = owner
        self._name = name
        self._digest = digest
        self._holder = new_id()
        self._renewing: asyncio.Task[None] | None = None
        self._over = False

    @classmethod
    def from_request(cls, context: Context, asked: BaseModel, *kind: str) -> "Once | None":
        """None without a key. `kind` is what the answer depends on besides the body `asked`.

        Raises InvalidRequest, and Unavailable where nothing is kept.
        """
        request = context.request
        given = request.headers.getlist(HEADER)
        if not given:
            return None
        if len(given) > 1 or not 0 < len(given[0]) <= _LONGEST or not given[0].isprintable():
            detail = f"Idempotency-Key: give one, of 1 to {_LONGEST} printable characters."
            raise InvalidRequest(detail, code="idempotency_key")
        scope = request_scope(request.scope)
        digest = hashlib.sha256(json.dumps([scope.path, *kind]).encode() + _canonical(asked)).hexdigest()
        owner = scope.identity.id
        return cls(kept_answers(request), owner, f"retry {owner} {given[0]}", digest)

    async def earlier(self) -> Response | None:
        """The answer that was made before; waits while it is made. None: it is this request's to make.

        Raises KeyReused, OutOfSpace.
        """
        while True:
            found = await self._claim()
            if found is Claim.OURS:
                self._renewing = asyncio.create_task(self._renew())
                return None
            if found is Claim.OTHER:
                raise KeyReused("This Idempotency-Key was sent with another request. Take a new key for each.")
            if isinstance(found, bytes):
                head, _, body = found.partition(b"\n")
                return Response(body, headers={**json.loads(head), **_REPLAYED})
            await asyncio.sleep(_POLL_SECONDS)

    async def _claim(self) -> Claim | bytes:
        asked = asyncio.ensure_future(self._kept.claim(self._name, self._digest, self._owner, self._holder))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            # A transaction that has begun goes on: what it claims would be nobody's.
            if await asked is Claim.OURS:
                await self.release()
            raise

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(CLAIM_SECONDS / 3)
            try:
                await self._kept.renew(self._name, self._holder)
            except SQLAlchemyError as error:
                log.warning("an Idempotency-Key could not be renewed", error=type(error).__name__)

    async def keep(self, body: bytes, headers: Mapping[str, str], seconds: float = KEPT_SECONDS) -> None:
        """Keep the answer. One that cannot be kept is given all the same: it is there, and nobody has it yet."""
        self._stop_renewing()
        try:
            data = json.dumps(dict(headers)).encode() + b"\n" + body
            await self._kept.keep(self._name, self._owner, data, seconds, self._holder)
            self._over = True
        except SQLAlchemyError as error:
            log.error("an answer could not be kept for its Idempotency-Key", error=type(error).__name__)
            await self.release()

    async def release(self) -> None:
        """Let the next request with this key make the answer; does nothing where it is kept."""
        self._stop_renewing()
        if self._over:
            return
        try:
            await asyncio.shield(self._kept.release(self._name, self._holder))
        except SQLAlchemyError as error:
            log.error("an Idempotency-Key stays taken for some seconds", error=type(error).__name__)

    def _stop_renewing(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()


def kept_answers(request: Request) -> KeptAnswers:
    """Where answers are kept. Raises Unavailable without a database."""
    kept = state_of(request).kept
    if kept is None:
        raise Unavailable("Answers are kept once the database is there.")
    return kept


def headers_of(response: Response) -> dict[str, str]:
    """The headers that the same body is sent with again."""
    return {name: value for name, value in response.headers.items() if name != "content-length"}


def _canonical(asked: BaseModel) -> bytes:
    """Equal for requests that ask for the same; files by their digests."""
    return json.dumps(asked.model_dump(), sort_keys=True, default=_digest_of).encode()


def _digest_of(value: Any) -> Any:
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(type(value).__name__)
