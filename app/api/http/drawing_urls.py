"""URLs of drawings, for clients that ask for `response_format: url`: signed, without a key, for an hour.

As with the URLs of object stores whoever has one may read the drawing, and nothing else. The drawing is kept sealed
under the URL's own name (`app.store.kept`), so that the database alone does not give it away.
"""

import base64
import hashlib
import hmac
import secrets
import time

from fastapi import Request

from app.api.http.idempotency import kept_answers
from app.api.request_scope import request_scope
from app.api.state import state_of
from app.errors import Gone, NotFound

PATH = "/v1/images/files"
# What OpenAI's are good for.
LIFE_SECONDS = 3600
_PURPOSE = "drawing urls"


async def check_room(request: Request) -> None:
    """Raises Unavailable, OutOfSpace where no drawing is kept now: before it is drawn."""
    await kept_answers(request).check_room(request_scope(request.scope).identity.id)


async def offer(request: Request, data: bytes, suffix: str) -> str:
    """Keep a file and give its URL, under the name that the client called the service by.

    Raises Unavailable, OutOfSpace, SQLAlchemyError.
    """
    name = f"{secrets.token_urlsafe(24)}.{suffix}"
    owner = request_scope(request.scope).identity.id
    await kept_answers(request).keep(f"drawing {name}", owner, data, LIFE_SECONDS)
    expires = int(time.time()) + LIFE_SECONDS
    signature = _signature(request, name, expires)
    return f"{str(request.base_url).rstrip('/')}{PATH}/{name}?expires={expires}&signature={signature}"


async def find(request: Request, name: str, expires: int, signature: str) -> bytes:
    """The file behind a URL. Raises NotFound where the signature is not ours, Gone when its time is over."""
    if not hmac.compare_digest(signature.encode(), _signature(request, name, expires).encode()):
        raise NotFound("There is no such drawing.")
    found = await kept_answers(request).find(f"drawing {name}") if time.time() < expires else None
    if found is None:
        raise Gone("The URL of this drawing has expired.", code="url_expired")
    return found


def _signature(request: Request, name: str, expires: int) -> str:
    key = state_of(request).started_guard.key(_PURPOSE)
    digest = hmac.new(key, f"{name} {expires}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
