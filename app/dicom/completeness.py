"""Whether a received data set is all there: where a sender broke off, only the sender can send it again."""

from struct import Struct

from pydicom.dataset import Dataset

from app.dicom.encoding import LONG_VRS, is_explicit
from app.dicom.values import number_of, text_of
from app.dicom.walk import PIXELS, Read, Walked

_UNDEFINED = 0xFFFFFFFF
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_PIXEL_DATA_GROUP = 0x7FE0
# PS3.5 8.2.1, 8.2.3, 8.2.4 and 8.2.16: of JPEG, JPEG-LS, JPEG 2000 and HTJ2K, whose codestreams all end with this.
_CODESTREAMS = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (*range(50, 94), 201, 202, 203))
_END_OF_CODESTREAM = b"\xff\xd9"
# Padding and rubbish may stand behind it.
_TAIL_BYTES = 4_096


class Truncated(Exception):
    """The data set breaks off; `detail` (without patient data) says where."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def pixel_bytes_of(read: Read, walked: Walked, *, syntax: str, implicit: bool, little: bool, most: int) -> int | None:
    """Length of a data set's pixel data where that is not encapsulated, None where it is, or there is none.

    `most` is how many fragments are looked at. Raises Truncated where the data set breaks off, at whatever element.
    """
    element = _PixelElement(read, walked.end, syntax, implicit, little, most)
    if not walked.nested and element.is_there():
        return element.check()
    # Less than an element is left. The length of the last one may have lied.
    is_there = walked.end == 0 or bool(read(walked.end - 1, 1))
    left = read(walked.end, 8)
    if walked.nested or not is_there or len(left) == 8 or left.strip(b"\0"):
        raise Truncated("The part is not a DICOM instance, or it breaks off.")
    return None


class _PixelElement:
    def __init__(self, read: Read, start: int, syntax: str, implicit: bool, little: bool, most: int) -> None:
        self._read = read
        self._start = start
        self._syntax = syntax
        self._implicit = implicit
        self._most = most
        order = "<" if little else ">"
        self._tag_and_length = Struct(f"{order}HHL").unpack
        self._long = Struct(f"{order}L").unpack
        self._short = Struct(f"{order}H").unpack

    def is_there(self) -> bool:
        """Whether pixel data begins here."""
        head = self._read(self._start, 8)
        if len(head) < 8:
            return False
        group, element, _ = self._tag_and_length(head)
        return (group << 16 | element) in PIXELS

    def check(self) -> int | None:
        value, length = self._value(self._start)
        if length == _UNDEFINED:
            self._check_tail(self._end_of_fragments(value))
            return None
        if length and not self._read(value + length - 1, 1):
            raise Truncated("The pixel data breaks off.")
        self._check_tail(value + length)
        return length

    def _value(self, at: int) -> tuple[int, int]:
        """Where the value of an element begins, and its length as stated."""
        head = self._read(at, 12)
        vr = head[4:6]
        if self._implicit or not is_explicit(vr):
            return at + 8, self._tag_and_length(head[:8])[2]
        if vr not in LONG_VRS:
            return at + 8, self._short(head[6:8])[0]
        if len(head) < 12:
            raise Truncated("The part is not a DICOM instance, or it breaks off.")
        return at + 12, self._long(head[8:12])[0]

    def _end_of_fragments(self, at: int) -> int:
        """Where the encapsulated pixel data (PS3.5 A.4) ends that begins here."""
        last = None
        for number in range(self._most):
            head = self._read(at, 8)
            group, element, length = self._tag_and_length(head.ljust(8, b"\0"))
            tag = group << 16 | element
            at += 8
            if len(head) == 8 and tag == _SEQUENCE_END:
                self._check_codestream(last)
                return at
            if len(head) < 8 or tag != _ITEM or length == _UNDEFINED:
                break
            # The first item is the Basic Offset Table.
            last = (at, length) if number else None
            at += length
        raise Truncated("The encapsulated pixel data has no end.")

    def _check_codestream(self, fragment: tuple[int, int] | None) -> None:
        if fragment is None:
            raise Truncated("The encapsulated pixel data is empty.")
        start, length = fragment
        size = min(length, _TAIL_BYTES)
        if self._syntax in _CODESTREAMS and _END_OF_CODESTREAM not in self._read(start + length - size, size):
            raise Truncated("The last compressed frame breaks off.")

    def _check_tail(self, at: int) -> None:
        """Look at what follows the pixel data: elements (PS3.5 7.1), or rubbish, which is none of the data set."""
        while len(head := self._read(at, 8)) == 8:
            group, _, _ = self._tag_and_length(head)
            if group < _PIXEL_DATA_GROUP:
                return
            value, length = self._value(at)
            if length == _UNDEFINED:
                return
            at = value + length
        if at and not self._read(at - 1, 1):
            raise Truncated("The data set breaks off behind its pixel data.")


def check_pixel_bytes(dataset: Dataset, pixel_bytes: int) -> None:
    """See that pixel data that is not encapsulated is as long as its header says. Raises Truncated."""
    if pixel_bytes < expected_pixel_bytes(dataset):
        raise Truncated("The pixel data is shorter than the header says.")


def expected_pixel_bytes(dataset: Dataset) -> int:
    """Length of pixel data that is not encapsulated, as its header says; 0 where it does not."""
    rows, columns, bits = (number_of(dataset, keyword) for keyword in ("Rows", "Columns", "BitsAllocated"))
    samples, frames = (max(1, number_of(dataset, keyword)) for keyword in ("SamplesPerPixel", "NumberOfFrames"))
    expected = (rows * columns * samples * frames * bits + 7) // 8
    if (text_of(dataset, "PhotometricInterpretation") or "").upper() == "YBR_FULL_422":
        return expected * 2 // 3  # PS3.3 C.7.6.3.1.2: two pixels share their chrominance
    return expected
