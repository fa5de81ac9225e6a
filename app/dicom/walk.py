"""Walks the elements of a data set without reading their values, within limits (PS3.5 7).

What strangers send is walked before any of it is parsed: the cost of a walk is that of its elements, whatever their
values hold, and it keeps nothing but an excerpt of few of them. Where a data set is damaged the walk ends, as pydicom's
reading does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from pydicom.datadict import DicomDictionary

from app.dicom.encoding import LONG_VRS, is_explicit, starts_implicit
from app.dicom.plausible import BEFORE_ALL, may_follow
from app.dicom.window import Read as Read
from app.dicom.window import Window
from app.settings import ImagingSettings

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
# Where headers end: (Double) Float Pixel Data and Pixel Data.
PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_SEQUENCES = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")
# What undefined length may hide: items of elements, or fragments of a value.
_FRAGMENTED = frozenset({b"OB", b"OW", b"OD", b"OF", b"OL", b"OV"})


class OverLimit(Exception):
    """The data set has more of something than is taken; `detail` (without patient data) says of what."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True)
class Walked:
    """What a walk has found: the excerpt, as encoded as the data set, how many elements and items there are, and where
    it ended, whether within a sequence.

    `settled` is where the last element of the top level ends that may be one (see `plausible.py`), and `last` its tag.
    """

    excerpt: bytes
    elements: int
    end: int
    nested: bool
    settled: int
    last: int


def walk(
    read: Read,
    start: int,
    *,
    implicit: bool,
    little: bool,
    limits: ImagingSettings,
    wanted: Callable[[int, int], bool] = lambda _tag, _size: False,
    most_bytes: int = 0,
    behind: int | None = None,
) -> Walked:
    """Walk a data set from `start` to its pixel data, or what follows the element of tag `behind` to the first that is
    no element.

    `wanted` is asked with tag and bytes of each element of the top level. Raises OverLimit, also where what is wanted
    is more than `most_bytes`.
    """
    return _Walk(read, start, implicit, little, limits, wanted, most_bytes, behind).run()


class _Walk:
    def __init__(
        self,
        read: Read,
        start: int,
        implicit: bool,
        little: bool,
        limits: ImagingSettings,
        wanted: Callable[[int, int], bool],
        most_bytes: int,
        behind: int | None,
    ) -> None:
        self._window = Window(read)
        self._offset = start
        self._implicit = implicit
        self._limits = limits
        self._wanted = wanted
        self._most_bytes = most_bytes
        order = "<" if little else ">"
        self._tag_and_length = Struct(f"{order}HHL").unpack_from
        self._tag_and_vr = Struct(f"{order}HH2sH").unpack_from
        self._long = Struct(f"{order}L").unpack_from
        # Open levels, the outer ones: end (None: a delimiter ends it), whether it is a sequence, implicit VR.
        self._levels: list[tuple[int | None, bool, bool]] = []
        self._end: int | None = None
        self._in_sequence = self._in_fragments = False
        self._nesting = 0
        self._count = 0
        self._opened: tuple[int, int] | None = None
        self._strict = behind is not None
        self._settled, self._last = start, BEFORE_ALL if behind is None else behind
        # The tag of the top level's element under way, where it may be one.
        self._current: int | None = None
        self._kept: list[bytes] = []
        self._bytes = 0

    def run(self) -> Walked:
        most = self._limits.max_elements
        while True:
            while self._end is not None and self._offset >= self._end and self._levels:
                self._leave()
            if self._current is not None and not self._levels:
                self._settled, self._last, self._current = self._offset, self._current, None
            at = self._window.at(self._offset, 12)
            if len(self._window.data) - at < 8:
                break
            step = self._item if self._in_sequence else self._element
            if not step(at) and not self._skip_damage():
                break
            self._count += 1
            if self._count > most:
                raise OverLimit(f"The instance has more than {most} elements.")
        nested = bool(self._levels)
        return Walked(b"".join(self._kept), self._count, self._offset, nested, self._settled, self._last)

    def _element(self, at: int) -> bool:
        """Step over an element, or into it; False where there is none."""
        window = self._window.data
        header, vr = 8, b""
        group, element, length = self._tag_and_length(window, at)
        tag = group << 16 | element
        if tag == _ITEM_END:
            if not self._levels:
                return False
            self._offset += 8
            self._leave()
            return True
        if not self._levels:
            if tag in PIXELS and not self._strict:
                return False
            fits = may_follow(tag, window[at + 4 : at + 6], self._last, implicit=self._implicit)
            if self._strict and not fits:
                return False
            self._current = tag if fits else None
        if not self._implicit and is_explicit(window[at + 4 : at + 6]):
            vr = window[at + 4 : at + 6]
            length = self._tag_and_vr(window, at)[3]
            if vr in LONG_VRS:
                if len(window) - at < 12:
                    return False
                header, length = 12, self._long(window, at + 8)[0]
        if self._is_sequence(tag, vr, length, at + header):
            self._enter(tag, header, length, fragments=vr in _FRAGMENTED)
            return True
        if length == _UNDEFINED:
            self._enter(tag, header, length, fragments=True)
            return True
        if length > self._limits.max_value_mb * 1_000_000 and not self._strict:
            if not self._window.read(self._offset + header + length - 1, 1):
                return False  # a length that lies
            raise OverLimit(f"The instance has a value of more than {self._limits.max_value_mb} MB.")
        if not self._levels:
            self._keep(tag, self._offset, header + length)
        self._offset += header + length
        return True

    def _is_sequence(self, tag: int, vr: bytes, length: int, value: int) -> bool:
        if vr == b"SQ" or (vr in (b"", b"UN") and tag in _SEQUENCES):
            return True
        if length != _UNDEFINED or vr in _FRAGMENTED:
            return False
        # PS3.5 6.2.2: UN of undefined length is a sequence; in implicit VR, what begins with an item is one.
        if vr == b"UN":
            return True
        window = self._window.data
        if value + 8 > len(window):
            window, value = self._window.read(self._window.base + value, 8), 0
        return len(window) - value >= 8 and self._tag(window, value) == _ITEM

    def _tag(self, window: bytes, at: int) -> int:
        group, element, _ = self._tag_and_length(window, at)
        return int(group << 16 | element)

    def _item(self, at: int) -> bool:
        """Step over a fragment, into an item, or out of the sequence; False where it is none of them."""
        group, element, length = self._tag_and_length(self._window.data, at)
        tag = group << 16 | element
        self._offset += 8
        if tag == _SEQUENCE_END:
            self._leave()
            return True
        if tag != _ITEM:
            return False
        if self._in_fragments:
            self._offset += length
            return bool(length != _UNDEFINED)
        self._levels.append((self._end, True, self._implicit))
        self._end = None if length == _UNDEFINED else self._offset + length
        self._in_sequence = False
        if not self._implicit:
            at = self._window.at(self._offset, 8)
            # PS3.5 6.2.2: items of a UN are in implicit VR, and some writers change to it in any item.
            head = self._window.data[at : at + 6]
            self._implicit = len(head) == 6 and head[:2] != b"\xfe\xff" and starts_implicit(head)
        return True

    def _enter(self, tag: int, header: int, length: int, *, fragments: bool) -> None:
        if not self._levels:
            self._opened = (tag, self._offset)
        self._nesting += 1
        if self._nesting > self._limits.max_nesting:
            raise OverLimit(f"The instance nests sequences more than {self._limits.max_nesting} deep.")
        self._levels.append((self._end, False, self._implicit))
        self._offset += header
        self._end = None if length == _UNDEFINED else self._offset + length
        self._in_sequence, self._in_fragments = True, fragments

    def _leave(self) -> None:
        if self._in_sequence:
            self._nesting -= 1
        self._end, self._in_sequence, self._implicit = self._levels.pop()
        self._in_fragments = False
        if not self._levels and self._opened is not None:
            tag, start = self._opened
            self._keep(tag, start, self._offset - start)

    def _skip_damage(self) -> bool:
        """Go on behind the innermost level whose end is known; False where there is none."""
        while self._levels:
            end = self._end
            self._leave_damaged()
            if end is not None:
                self._offset = end
                return True
        return False

    def _leave_damaged(self) -> None:
        self._opened = None
        self._leave()

    def _keep(self, tag: int, start: int, size: int) -> None:
        if not self._wanted(tag, size):
            return
        self._bytes += size
        if self._bytes > self._most_bytes:
            raise OverLimit(f"The header has more than {self._most_bytes} bytes.")
        self._kept.append(self._window.cut(start, size))
