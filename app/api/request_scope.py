"""What the middleware knows of a request, in the ASGI scope under `cxr`."""

from dataclasses import dataclass, field

from starlette.types import Scope

from app.api.rules import Rule
from app.security.identity import ANONYMOUS, Identity


@dataclass
class Touched:
    """What a request had to do with, for the audit log: UIDs, Patient IDs, names of query keys."""

    studies: set[str] = field(default_factory=set)
    patients: set[str] = field(default_factory=set)
    instances: int = 0
    keys: set[str] = field(default_factory=set)


@dataclass
class RequestScope:
    """A request's id, its rule, its path without a proxy's prefix, its client, and what it had to do with; `shed`
    says that it was refused unread for being one too many.
    """

    request_id: str
    rule: Rule
    path: str
    identity: Identity = ANONYMOUS
    shed: bool = False
    touched: Touched = field(default_factory=Touched)


def request_scope(scope: Scope) -> RequestScope:
    """What the middleware put into the scope."""
    found: RequestScope = scope["cxr"]
    return found
