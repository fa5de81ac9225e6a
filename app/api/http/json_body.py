"""Bodies of JSON under limits: how much they nest and hold is known before anything is built of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

# A conversation of a thousand messages has some thousand; the codes of ten drawings 2,560.
MOST_ITEMS = 50_000
# Each that is not known is an error of its own.
MOST_FIELDS = 10_000
_LARGE_BYTES = 262_144
_PARSED = b"{}"


def parse(data: bytes | bytearray) -> Any:
    """What a body says. Raises HTTPException (400) where it is no JSON, or holds more than a request can need."""
    # Every value but the first of its list or object stands behind a comma, and texts only add to them.
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MOST_ITEMS:
        raise HTTPException(400, f"The body holds more than {MOST_ITEMS} values.")
    if data.count(b'":') + data.count(b'" :') > MOST_FIELDS:
        raise HTTPException(400, f"The body has more than {MOST_FIELDS} fields.")
    try:
        # Nested at most 200 deep, by the parser's own limit.
        return from_json(data, cache_strings=False)
    except ValueError as error:
        # JavaScript makes such texts where it cuts an emoji in two.
        reason = "it holds half a character (a lone surrogate)" if "hex escape" in str(error) else str(error)
        raise HTTPException(400, f"The body is no JSON: {reason}.") from None


class _BoundedRequest(Request):
    async def body(self) -> bytes:
        """The body; a large one of JSON is parsed and not kept: the framework would hold it until the answer is
        there.
        """
        if not hasattr(self, "_body"):
            data = bytearray()
            async for chunk in self.stream():
                data += chunk
            self._body = bytes(data) if len(data) < _LARGE_BYTES or not self._is_json else _PARSED
            if self._body is _PARSED:
                self._json = await asyncio.to_thread(parse, data)
        return self._body

    async def json(self) -> Any:
        """The parsed body."""
        data = await self.body()
        if not hasattr(self, "_json"):
            self._json = parse(data)
        return self._json

    @property
    def _is_json(self) -> bool:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


class JsonRoute(APIRoute):
    """A route whose JSON body is parsed under limits."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler of the framework, given a request that parses its body so."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handle(_BoundedRequest(request.scope, request.receive))

        return bounded
