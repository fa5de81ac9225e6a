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
_LARGE_BYTES = 262_144


def parse(data: bytes) -> Any:
    """What a body says. Raises HTTPException (400) where it is no JSON, or holds more than a request can need."""
    # Every value but the first of its list or object stands behind a comma, and texts only add to them.
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MOST_ITEMS:
        raise HTTPException(400, f"The body holds more than {MOST_ITEMS} values.")
    try:
        # Nested at most 200 deep, by the parser's own limit.
        return from_json(data, cache_strings=False)
    except ValueError as error:
        # JavaScript makes such texts where it cuts an emoji in two.
        reason = "it holds half a character (a lone surrogate)" if "hex escape" in str(error) else str(error)
        raise HTTPException(400, f"The body is no JSON: {reason}.") from None


class _BoundedRequest(Request):
    async def json(self) -> Any:
        """The parsed body; a large one is parsed on a thread."""
        if not hasattr(self, "_json"):
            data = await self.body()
            self._json = parse(data) if len(data) < _LARGE_BYTES else await asyncio.to_thread(parse, data)
        return self._json


class JsonRoute(APIRoute):
    """A route whose JSON body is parsed under limits."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler of the framework, given a request that parses its body so."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handle(_BoundedRequest(request.scope, request.receive))

        return bounded
