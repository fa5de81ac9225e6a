"""`Idempotency-Key`: a request that is sent again with its key gets the answer that was made the first time.

As the IETF's draft of the header (draft-ietf-httpapi-idempotency-key-header) has it: a key is its client's, and stands
for one request. What fails is not kept: the request may be sent again.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any, TypeVar

import structlog
from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from app.api.http.context import Context
from app.api.request_scope import request_scope
from app.api.state import state_of
from app.errors import InvalidRequest, KeyReused, OutOfSpace, Unavailable
from app.store.kept import Claim, KeptAnswers

log = structlog.get_logger(__name__)
T = TypeVar("T")

KEPT_SECONDS = 86_400.0
_HEADER = "idempotency-key"
_LONGEST = 255
# A claim outlasts the request that has it by so long, which its answer takes to be written.
_MARGIN_SECONDS = 30.0
_POLL_SECONDS = 0.2
_REPLAYED = {"Idempotent-Replayed": "true"}


class Once:
    """A request that has a key: its earlier answer, or the claim to make it."""

    def __init__(self, kept: KeptAnswers, name: str, digest: str, claim_seconds: float) -> None:
        self._kept = kept
        self._name = name
        self._digest = digest
        self._claim_seconds = claim_seconds

    @classmethod
    def from_request(cls, context: Context, asked: BaseModel, *kind: str) -> "Once | None":
        """None without a key. `kind` is what the answer depends on besides the body `asked`.

        Raises InvalidRequest, and Unavailable where nothing is kept.
        """
        request = context.request
        given = request.headers.getlist(_HEADER)
        if not given:
            return None
        if len(given) > 1 or not 0 < len(given[0]) <= _LONGEST or not given[0].isprintable():
            detail = f"Idempotency-Key: give one, of 1 to {_LONGEST} printable characters."
            raise InvalidRequest(detail, code="idempotency_key")
        scope = request_scope(request.scope)
        digest = hashlib.sha256(json.dumps([scope.path, *kind]).encode() + _canonical(asked)).hexdigest()
        seconds = context.limits.deadline_seconds + _MARGIN_SECONDS
        return cls(kept_answers(request), f"retry {scope.identity.id} {given[0]}", digest, seconds)

    async def earlier(self) -> Response | None:
        """The answer that was made before; waits while it is made. None: it is this request's to make.

        Raises KeyReused, OutOfSpace.
        """
        while True:
            found = await self._claim()
            if found is Claim.OURS:
                return None
            if found is Claim.OTHER:
                raise KeyReused("This Idempotency-Key was sent with another request. Take a new key for each.")
            if isinstance(found, bytes):
                head, _, body = found.partition(b"\n")
                headers = {**json.loads(head), **_REPLAYED}
                return Response(body, headers=headers)
            await asyncio.sleep(_POLL_SECONDS)

    async def _claim(self) -> Claim | bytes:
        asked = asyncio.ensure_future(self._kept.claim(self._name, self._digest, self._claim_seconds))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            # A transaction that has begun goes on: what it claims would be nobody's.
            if await asked is Claim.OURS:
                await self.release()
            raise

    async def keep(self, body: bytes, headers: dict[str, str]) -> None:
        """Keep the answer. One that cannot be kept is given all the same: it is there, and nobody has it yet."""
        try:
            data = json.dumps(headers).encode() + b"\n" + body
            await self._kept.keep(self._name, data, KEPT_SECONDS, self._digest)
        except (SQLAlchemyError, OutOfSpace) as error:
            log.error("an answer could not be kept for its Idempotency-Key", error=type(error).__name__)
            await self.release()

    async def release(self) -> None:
        """Let the next request with this key make the answer."""
        try:
            await asyncio.shield(self._kept.release(self._name))
        except SQLAlchemyError as error:
            log.error("an Idempotency-Key stays taken until its request's time is over", error=type(error).__name__)

    async def released_unless_kept(self, items: AsyncGenerator[T], kept: list[bool]) -> AsyncGenerator[T]:
        """`items`, after whose end the key is released where `kept` is still empty."""
        try:
            async with aclosing(items):
                async for item in items:
                    yield item
        finally:
            if not kept:
                await self.release()


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
