"""Who a request comes from, and the installation's secret that pseudonyms are made with."""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Scope(StrEnum):
    """What a key may do. `admin` may do everything."""

    INFER = "infer"
    DICOM = "dicom"
    METRICS = "metrics"
    ADMIN = "admin"


@dataclass(frozen=True)
class Allowance:
    """How much one key may do; an unset field is the service's own limit."""

    requests_per_minute: int | None = None
    max_requests: int | None = None
    tokens_per_day: int | None = None


@dataclass(frozen=True)
class Identity:
    """A client. `id` is stable over the life of its key and holds nothing personal."""

    id: str
    scopes: frozenset[Scope]
    allowance: Allowance = field(default_factory=Allowance)

    def may(self, scope: Scope) -> bool:
        """Whether the client has a scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


ANONYMOUS = Identity("anonymous", frozenset(Scope))


class Pseudonyms:
    """Keyed hashes: the same value gives the same pseudonym on this installation, and none elsewhere."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def from_state_dir(cls, state_dir: Path) -> "Pseudonyms":
        """Those of a state folder, whose secret is made at the first call. Raises OSError."""
        path = state_dir / "secret"
        state_dir.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".secret-{secrets.token_hex(8)}")
        if not path.exists():
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(32))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(fresh, path)  # fails where another process was first
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return cls(path.read_bytes())

    def __call__(self, value: str) -> str:
        """Sixteen hexadecimal digits of HMAC-SHA256."""
        return hmac.new(self._secret, value.encode(), hashlib.sha256).hexdigest()[:16]
