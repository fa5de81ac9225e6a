"""What the middleware knows of a request, in the ASGI scope under `cxr`."""

from dataclasses import dataclass

from starlette.types import Scope

from app.api.rules import Rule
from app.security.identity import ANONYMOUS, Identity


@dataclass
class RequestScope:
    """A request's id, its path's rule and its client; `shed` says that it was refused unread for being one too many."""

    request_id: str
    rule: Rule
    identity: Identity = ANONYMOUS
    shed: bool = False


def request_scope(scope: Scope) -> RequestScope:
    """What the middleware put into the scope."""
    found: RequestScope = scope["cxr"]
    return found
