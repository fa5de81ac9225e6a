"""Radiographs that were read lately, so that a second question about one does not decode and encode it again."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.telemetry.metrics import READINGS_REUSED

T = TypeVar("T")


@dataclass(frozen=True)
class ContentKey:
    """A client (its cache salt) and the SHA-256 of what it sent: no client learns what another one has sent."""

    salt: str | None
    sha256: str

    @classmethod
    def of(cls, salt: str | None, data: bytes) -> "ContentKey":
        """The key of some bytes."""
        return cls(salt, hashlib.sha256(data).hexdigest())


class Recent(Generic[T]):
    """The `most` values that were used last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[ContentKey, T] = OrderedDict()

    def find(self, key: ContentKey) -> T | None:
        """The value, which becomes the last used one."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
            READINGS_REUSED.inc()
        return found

    def keep(self, key: ContentKey, value: T) -> None:
        """Hold a value; the one that was not used for longest makes room."""
        if self._most:
            self._held[key] = value
            self._held.move_to_end(key)
            while len(self._held) > self._most:
                self._held.popitem(last=False)

    def __len__(self) -> int:
        return len(self._held)
