"""How a DICOM file begins: its File Meta Information, and where and how its data set is encoded (PS3.10 7.1)."""

from dataclasses import dataclass
from struct import Struct

from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from app.dicom.encoding import LONG_VRS, VRS, is_explicit, starts_implicit
from app.dicom.walk import OverLimit, Read
from app.settings import ImagingSettings

# PS3.5 A.5, and the JPIP syntaxes whose data set is deflated as well (A.7, A.13).
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
_PREAMBLE = 128
_SYNTAX, _CLASS = 0x0010, 0x0002
_KEPT = {_SYNTAX, _CLASS}
_LONGEST_UID = 128
# Most files' preamble and group 2 fit into it: every read of its own lets other threads in between.
_WINDOW = 1_024
_EXPLICIT, _IMPLICIT, _LONG = Struct("<HH2sH").unpack_from, Struct("<HHL").unpack_from, Struct("<L").unpack_from


@dataclass(frozen=True)
class Opening:
    """The beginning of a file.

    `start` is where the data set begins, found by reading group 2 to its end: (0002,0000) may say anything. `syntax` is
    the stated transfer syntax, empty where none is. `prefixed` tells whether preamble and prefix are there.
    `implicit` and `little` are how the data set is encoded, once inflated where it is `deflated`.
    """

    start: int
    syntax: str
    sop_class_uid: str
    prefixed: bool
    implicit: bool
    little: bool

    @property
    def deflated(self) -> bool:
        """Whether the data set is deflated."""
        return self.syntax in DEFLATED

    @property
    def encoding(self) -> str:
        """The transfer syntax of its elements, of the three that are not compressed."""
        if self.implicit:
            return str(ImplicitVRLittleEndian)
        return str(ExplicitVRLittleEndian if self.little else ExplicitVRBigEndian)


def read_opening(read: Read, limits: ImagingSettings) -> Opening:
    """Read a file's beginning. Raises OverLimit."""
    read = _windowed(read)
    prefixed = read(_PREAMBLE, 4) == b"DICM"
    start, found = _meta(read, _PREAMBLE + 4 if prefixed else 0, limits)
    syntax = found.get(_SYNTAX, "")
    if syntax not in DEFLATED:
        start = _command(read, start, limits)
    head = read(start, 8)
    little = syntax != ExplicitVRBigEndian
    if not syntax and len(head) >= 6 and head[4:6] in VRS:
        # Big endian is explicit, and its group 0008 looks like 0800.
        little = int.from_bytes(head[:2], "little") < 1024
    implicit = starts_implicit(head) if syntax not in DEFLATED else False
    return Opening(start, syntax, found.get(_CLASS, ""), prefixed, implicit, little)


def _windowed(read: Read) -> Read:
    window, base = b"", 0

    def from_window(offset: int, size: int) -> bytes:
        nonlocal window, base
        if size > _WINDOW:
            return read(offset, size)
        if offset < base or offset + size > base + len(window):
            window, base = read(offset, _WINDOW), offset
        return window[offset - base : offset - base + size]

    return from_window


def _meta(read: Read, offset: int, limits: ImagingSettings) -> tuple[int, dict[int, str]]:
    """Where group 2 ends, and the UIDs of it that are kept. Explicit VR, little endian."""
    found: dict[int, str] = {}
    for _ in range(limits.max_elements):
        head = read(offset, 12)
        if len(head) < 8:
            return offset, found
        group, element, vr, length = _EXPLICIT(head)
        if group != 2:
            return offset, found
        offset += 8
        if not is_explicit(vr):
            length = _IMPLICIT(head)[2]
        elif vr in LONG_VRS:
            offset += 4
            length = _LONG(head.ljust(12, b"\0"), 8)[0]
        if element in _KEPT:
            value = read(offset, length) if length <= _LONGEST_UID else b""
            found[element] = value.decode("ascii", "replace").strip(" \0")
        offset += length
    raise OverLimit(f"The File Meta Information has more than {limits.max_elements} elements.")


def _command(read: Read, offset: int, limits: ImagingSettings) -> int:
    """Where group 0 ends, which no file should have: implicit VR (PS3.7 6.3.1). pydicom passes over it as well."""
    for _ in range(limits.max_elements):
        head = read(offset, 8)
        if len(head) < 8 or head[:2] != b"\0\0":
            return offset
        offset += 8 + _IMPLICIT(head)[2]
    raise OverLimit(f"The instance has more than {limits.max_elements} command elements.")
