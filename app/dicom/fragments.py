"""Whether encapsulated pixel data (PS3.5 A.4) is all there, as its last fragments tell."""

from collections import deque
from struct import unpack

from app.dicom.window import Read

# PS3.5 8.2.1, 8.2.3, 8.2.4 and 8.2.16: of JPEG, JPEG-LS, JPEG 2000 and HTJ2K, whose codestreams all end with a marker.
_CODESTREAMS = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (*range(50, 94), 201, 202, 203))
# Of these a codestream may hold several frames (PS3.5 8.2.4).
_SEVERAL_FRAMES = ("1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.93")
_RLE = "1.2.840.10008.1.2.5"
_ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
_FRAMED = frozenset((*_CODESTREAMS, _RLE, _ENCAPSULATED_UNCOMPRESSED)) - frozenset(_SEVERAL_FRAMES)
_END_OF_CODESTREAM = b"\xff\xd9"
# Rubbish may stand behind it, then padding of any length.
_TAIL_BYTES = 4_096
_CHUNK = 65_536
_RLE_HEADER, _MOST_SEGMENTS = 64, 15
# Of these the last that is no padding is looked for.
_KEPT = 64


class Truncated(Exception):
    """The data set breaks off; `detail` (without patient data) says where."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def has_fragment_per_frame(syntax: str) -> bool:
    """Whether each frame has a fragment of its own, or more. That of a video has them all."""
    return syntax in _FRAMED


class Fragments:
    """The fragments of an instance, of which the last are kept."""

    def __init__(self, read: Read, syntax: str) -> None:
        self._read = read
        self._syntax = syntax
        self._count = 0
        self._last: deque[tuple[int, int]] = deque(maxlen=_KEPT)

    def add(self, start: int, length: int) -> None:
        """Take a fragment that is not empty."""
        self._count += 1
        self._last.append((start, length))

    def checked(self) -> int:
        """How many there are, those at the end left out that only pad. Raises Truncated where the last breaks off."""
        if not self._last:
            raise Truncated("The encapsulated pixel data is empty.")
        if self._syntax not in _CODESTREAMS and self._syntax != _RLE:
            return self._count
        size = self._drop_padding()
        start, length = self._last[-1]
        if self._syntax == _RLE:
            self._check_rle(start, length)
        elif _END_OF_CODESTREAM not in self._tail(start, size):
            raise Truncated("The last compressed frame breaks off.")
        return self._count

    def _drop_padding(self) -> int:
        """Drop fragments of nothing but padding; returns where the padding of the last begins."""
        while self._last:
            start, size = self._last[-1]
            while size:
                chunk = min(size, _CHUNK)
                found = len(self._read(start + size - chunk, chunk).rstrip(b"\0\xff"))
                if found:
                    return size - chunk + found
                size -= chunk
            self._last.pop()
            self._count -= 1
        raise Truncated("The encapsulated pixel data is empty.")

    def _tail(self, start: int, size: int) -> bytes:
        """The end of a fragment. The marker may begin in the fragment before it."""
        taken = min(size, _TAIL_BYTES)
        tail = self._read(start + size - taken, taken)
        if taken == size and len(self._last) > 1:
            before, length = self._last[-2]
            tail = self._read(before + length - 1, 1) + tail
        return tail

    def _check_rle(self, start: int, length: int) -> None:
        """See that all segments of a frame begin in its fragment (PS3.5 G.5)."""
        head = self._read(start, min(length, _RLE_HEADER))
        if len(head) == _RLE_HEADER:
            count, *offsets = unpack("<16L", head)
            if all(offset < length for offset in offsets[: min(count, _MOST_SEGMENTS)]):
                return
        raise Truncated("The last compressed frame breaks off.")
