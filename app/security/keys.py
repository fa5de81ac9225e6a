"""API keys: `cxr_ID_SECRET`, of which the file holds the SHA-256 (256 random bits need no slow hash)."""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.errors import CxrError, NotFound, Unavailable
from app.security.identity import Allowance, Identity, Scope, is_tenant
from app.settings import DEFAULT_TENANT

log = structlog.get_logger(__name__)

_PREFIX = "cxr"
_CHECK_SECONDS = 1.0


def _tenant(name: str) -> str:
    if not is_tenant(name):
        raise ValueError("this is no tenant")
    return name


class Key(BaseModel):
    """One key as the file holds it. Times are seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    sha256: str
    scopes: tuple[Scope, ...]
    created: float
    expires: float | None = None
    requests_per_minute: int | None = None
    max_requests: int | None = None
    tokens_per_day: int | None = None
    tenant: Annotated[str, AfterValidator(_tenant)] = DEFAULT_TENANT

    def identity(self) -> Identity:
        """The client that shows this key."""
        allowance = Allowance(self.requests_per_minute, self.max_requests, self.tokens_per_day)
        return Identity(f"key:{self.id}", frozenset(self.scopes), allowance, self.tenant)

    def has_expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and now >= self.expires


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[Key] = Field(default_factory=list)


class Keys:
    """The keys in one file. A change of the file is seen within a second: keys rotate without a restart.

    A file that was there once and cannot be read now says nothing about who may come in: every token gets 503 until a
    read succeeds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._checked = 0.0
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}
        self._seen = False
        self._unread: OSError | CxrError | None = None

    @property
    def seen(self) -> bool:
        """Whether there is a file of keys, or was one since the start; an empty or damaged one counts too."""
        self._refresh()
        return self._seen

    def list(self) -> "list[Key]":
        """All keys, expired ones too. Raises CxrError where the file is no keys file, or cannot be read."""
        self._refresh(force=True)
        if self._unread is not None:
            raise _refused() from self._unread
        return [*self._keys.values()]

    def find(self, token: str) -> Identity | None:
        """The client of a valid token. Raises Unavailable while the file cannot be read."""
        prefix, _, rest = token.partition("_")
        identity, _, secret = rest.partition("_")
        self._refresh()
        if self._unread is not None:
            raise Unavailable("The API keys cannot be read at the moment.") from self._unread
        key = self._keys.get(identity)
        digest = hashlib.sha256(secret.encode()).hexdigest()
        if prefix != _PREFIX or key is None or not hmac.compare_digest(digest, key.sha256):
            return None
        return None if key.has_expired(time.time()) else key.identity()

    def get(self, identity: str) -> Key:
        """The key with an id. Raises NotFound, and CxrError as `list` does."""
        return _pick({key.id: key for key in self.list()}, identity)

    def create(
        self,
        name: str,
        scopes: tuple[Scope, ...],
        expires: float | None = None,
        tenant: str = DEFAULT_TENANT,
        **limits: int | None,
    ) -> str:
        """Add a key; returns its token, which is shown this once. Raises ValueError where `tenant` is no name."""
        with self._changing() as keys:
            return _add(keys, name, scopes, expires, tenant, **limits)

    def rotate(self, identity: str, overlap_seconds: float) -> str:
        """A new key like an old one, which ends after `overlap_seconds`; returns its token. Raises NotFound."""
        with self._changing() as keys:
            old = _pick(keys, identity)
            until = time.time() + overlap_seconds
            ends = until if old.expires is None else min(until, old.expires)
            keys[identity] = old.model_copy(update={"expires": ends})
            life = None if old.expires is None else time.time() + (old.expires - old.created)
            limits = old.model_dump(include={"requests_per_minute", "max_requests", "tokens_per_day"})
            return _add(keys, old.name, old.scopes, life, old.tenant, **limits)

    def revoke(self, identity: str) -> None:
        """Remove a key. Raises NotFound."""
        with self._changing() as keys:
            _pick(keys, identity)
            del keys[identity]

    def _refresh(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now < self._checked + _CHECK_SECONDS:
            return
        self._checked = now
        try:
            found = self._path.stat()
        except OSError as error:
            # Only a file that was never there is a service without keys. One that is away may come back.
            away = isinstance(error, (FileNotFoundError, NotADirectoryError)) and not self._left_traces()
            self._seen = self._seen or not away
            self._keep(error if self._seen else None)
            return
        self._seen = True
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp or self._unread is not None:
            try:
                self._keys = _read(self._path)
            except CxrError as error:
                self._keep(error)
                return
            self._stamp = stamp
            self._keep(None)

    def _left_traces(self) -> bool:
        """Whether there is a link to a file, or the lock of an earlier change: keys were made here once."""
        return self._path.is_symlink() or self._path.with_suffix(".lock").exists()

    def _keep(self, error: OSError | CxrError | None) -> None:
        if error is not None and self._unread is None:
            log.error("keys not readable", error=type(error).__name__)
        elif error is None and self._unread is not None:
            log.info("keys readable again", keys=len(self._keys))
        self._unread = error
        if error is not None:
            self._stamp, self._keys = None, {}

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Key]]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = _read(self._path) if self._path.exists() else {}
            yield keys
            # Without what is as in the release before: its nodes read the file, too.
            whole = _File(keys=[*keys.values()]).model_dump_json(indent=1, exclude_defaults=True)
            fresh = self._path.with_suffix(".new")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(whole)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)


def _add(
    keys: dict[str, Key],
    name: str,
    scopes: tuple[Scope, ...],
    expires: float | None,
    tenant: str,
    **limits: int | None,
) -> str:
    identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    keys[identity] = Key(
        id=identity,
        name=name,
        sha256=digest,
        scopes=scopes,
        created=time.time(),
        expires=expires,
        tenant=tenant,
        **limits,
    )
    return f"{_PREFIX}_{identity}_{secret}"


def _pick(keys: dict[str, Key], identity: str) -> Key:
    try:
        return keys[identity]
    except KeyError:
        raise NotFound(f"There is no key {identity}.") from None


def _refused() -> CxrError:
    return CxrError("The file of API keys cannot be read.", code="keys_refused")


def _read(path: Path) -> dict[str, Key]:
    try:
        found = _File.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, ValidationError, RecursionError) as error:
        raise _refused() from error
    return {key.id: key for key in found.keys}
