"""Puts the Specific Character Set of a received file right: some senders state none, or another than they use."""

import os
from pathlib import Path
from struct import Struct

from app.dicom.encoding import LONG_VRS, is_explicit
from app.dicom.opening import Opening

_GROUP_LENGTH, _CHARACTER_SET = 0x00080000, 0x00080005
_CHUNK = 1_000_000
# Of what may stand before it: (0008,0000) and (0008,0001).
_MOST_BEFORE = 8


def put_character_set(file: Path, opening: Opening, terms: str) -> bool:
    """Let a file's data set state these defined terms (PS3.3 C.12.1.1.2); returns whether it did not.

    Raises ValueError where the data set is deflated: nothing of strangers' is inflated here. Raises OSError.
    """
    if opening.deflated:
        raise ValueError("The character set of a deflated data set cannot be put right.")
    element = _Element(opening)
    with file.open("rb") as source:
        at, length, value, group_length = _find(source.fileno(), opening, element)
        if value == terms:
            return False
        made = element.made(terms)
        head = os.pread(source.fileno(), at, 0)
        if group_length is not None:
            where, stated = group_length
            head = head[:where] + element.long(stated + len(made) - length) + head[where + 4 :]
        _write(file, source.fileno(), head + made, at + length)
    return True


class _Element:
    """How elements of a data set are encoded (PS3.5 7.1)."""

    def __init__(self, opening: Opening) -> None:
        self._implicit = opening.implicit
        order = "<" if opening.little else ">"
        self._tag_and_length, self._tag_and_vr = Struct(f"{order}HHL"), Struct(f"{order}HH2sH")
        self._long = Struct(f"{order}L")

    def read(self, head: bytes) -> tuple[int, int, int]:
        """Tag, bytes before the value, and length of the value of what begins so; the greatest tag behind the last."""
        if len(head) < 12:
            return 0xFFFFFFFF, 0, 0
        group, element, length = self._tag_and_length.unpack(head[:8])
        header = 8
        if not self._implicit and is_explicit(head[4:6]):
            length = self._tag_and_vr.unpack(head[:8])[3]
            if head[4:6] in LONG_VRS:
                header, length = 12, self._long.unpack(head[8:12])[0]
        return group << 16 | element, header, length

    def made(self, terms: str) -> bytes:
        """Specific Character Set with these terms."""
        value = terms.encode("ascii")
        value += b" " * (len(value) % 2)
        group, element = divmod(_CHARACTER_SET, 1 << 16)
        if self._implicit:
            return self._tag_and_length.pack(group, element, len(value)) + value
        return self._tag_and_vr.pack(group, element, b"CS", len(value)) + value

    def long(self, number: int) -> bytes:
        """A number of four bytes."""
        return self._long.pack(number)

    def number(self, data: bytes) -> int:
        """What four bytes say."""
        return int(self._long.unpack(data)[0])


def _find(file: int, opening: Opening, element: _Element) -> tuple[int, int, str, tuple[int, int] | None]:
    """Where the element is or belongs, its length and value, and where the group's length is and what it says."""
    at, group_length = opening.start, None
    for _ in range(_MOST_BEFORE):
        tag, header, length = element.read(os.pread(file, 12, at))
        if tag == _CHARACTER_SET:
            value = os.pread(file, length, at + header).decode("ascii", "replace").strip(" \0")
            return at, header + length, value, group_length
        if tag > _CHARACTER_SET:
            break
        if tag == _GROUP_LENGTH and length == 4:
            group_length = at + header, element.number(os.pread(file, 4, at + header))
        at += header + length
    return at, 0, "", group_length


def _write(file: Path, source: int, head: bytes, rest: int) -> None:
    """Write a file anew: `head`, and what the open one has from `rest` on."""
    whole = file.with_suffix(".whole")
    try:
        with whole.open("wb") as target:
            target.write(head)
            while chunk := os.pread(source, _CHUNK, rest):
                target.write(chunk)
                rest += len(chunk)
        whole.replace(file)
    finally:
        whole.unlink(missing_ok=True)
