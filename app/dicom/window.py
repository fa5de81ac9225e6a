"""A window on what can be read at an offset, so that a walk reads once for many elements."""

from collections.abc import Callable

Read = Callable[[int, int], bytes]
"""Bytes at an offset: fewer than asked for at the end."""

_SIZE = 65_536


class Window:
    """The bytes that were read last; `data` is them, and `base` the offset at which they begin."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self.data, self.base = b"", 0

    def at(self, offset: int, size: int) -> int:
        """Where in `data` an offset is, with `size` bytes from there as far as there are so many."""
        at = offset - self.base
        if at < 0 or at + size > len(self.data):
            self.data, self.base = self.read(offset, _SIZE), offset
            return 0
        return at

    def cut(self, start: int, size: int) -> bytes:
        """Bytes at an offset."""
        at = start - self.base
        if at >= 0 and at + size <= len(self.data):
            return self.data[at : at + size]
        return self.read(start, size)
