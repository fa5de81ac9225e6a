"""Who a request comes from, and the installation's secret that pseudonyms are made with."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from app.private_file import made_once
from app.settings import DEFAULT_TENANT, TENANT


class Scope(StrEnum):
    """What a key may do. `admin` may do everything; `dicom` is the three after it, as it was in the first release."""

    INFER = "infer"
    DICOM = "dicom"
    DICOM_STORE = "dicom:store"
    DICOM_READ = "dicom:read"
    JOBS_MANAGE = "jobs:manage"
    METRICS = "metrics"
    ADMIN = "admin"


_PARTS_OF_DICOM = (Scope.DICOM_STORE, Scope.DICOM_READ, Scope.JOBS_MANAGE)
ALL_TENANTS = "*"


def is_tenant(name: str) -> bool:
    """Whether it is a tenant's name, or `*` for all."""
    return name == ALL_TENANTS or re.fullmatch(TENANT, name) is not None


@dataclass(frozen=True)
class Allowance:
    """How much one key may do; an unset field is the service's own limit."""

    requests_per_minute: int | None = None
    max_requests: int | None = None
    tokens_per_day: int | None = None


@dataclass(frozen=True)
class Identity:
    """A client. `id` is stable over the life of its key and holds nothing personal; `tenant` is whose studies it sees,
    `*` every tenant's.
    """

    id: str
    scopes: frozenset[Scope]
    allowance: Allowance = field(default_factory=Allowance)
    tenant: str = DEFAULT_TENANT

    def may(self, scope: Scope) -> bool:
        """Whether the client has a scope."""
        whole = Scope.ADMIN in self.scopes or (scope in _PARTS_OF_DICOM and Scope.DICOM in self.scopes)
        return whole or scope in self.scopes

    @property
    def sees_all_tenants(self) -> bool:
        """Whether no tenant's studies are hidden from it."""
        return self.tenant == ALL_TENANTS or Scope.ADMIN in self.scopes


ANONYMOUS = Identity("anonymous", frozenset(Scope))


class Pseudonyms:
    """Keyed hashes: the same value gives the same pseudonym on this installation, and none elsewhere."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def from_state_dir(cls, state_dir: Path) -> "Pseudonyms":
        """Those of a state folder, whose secret is made at the first call. Raises OSError."""
        return cls(made_once(state_dir / "secret", lambda: secrets.token_bytes(32)))

    def key(self, purpose: str) -> bytes:
        """A key of its own for a purpose (HKDF's expansion, RFC 5869 2.3)."""
        return hmac.new(self._secret, f"key {purpose}\x01".encode(), hashlib.sha256).digest()

    def __call__(self, value: str) -> str:
        """Sixteen hexadecimal digits of HMAC-SHA256."""
        return hmac.new(self._secret, value.encode(), hashlib.sha256).hexdigest()[:16]
