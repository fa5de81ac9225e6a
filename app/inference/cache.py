"""An LRU cache of encoded images: a second question about an image does not decode and encode it again."""

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
    def from_bytes(cls, salt: str | None, data: bytes) -> "ContentKey":
        """The key of an upload."""
        return cls(salt, hashlib.sha256(data).hexdigest())


class EncodedImageCache(Generic[T]):
    """The `capacity` values that were used last; a capacity of 0 keeps none."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held: OrderedDict[ContentKey, T] = OrderedDict()

    def find(self, key: ContentKey) -> T | None:
        """The value, which becomes the most recently used one."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
            READINGS_REUSED.inc()
        return found

    def keep(self, key: ContentKey, value: T) -> None:
        """Hold a value, and evict the least recently used one past the capacity."""
        if self._capacity:
            self._held[key] = value
            self._held.move_to_end(key)
            while len(self._held) > self._capacity:
                self._held.popitem(last=False)

    def __len__(self) -> int:
        return len(self._held)
