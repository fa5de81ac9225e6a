"""Whether a received data set is all there: where a sender broke off, only the sender can send it again."""

from dataclasses import dataclass
from struct import Struct

from pydicom.dataset import Dataset

from app.dicom.encoding import LONG_VRS, is_explicit
from app.dicom.fragments import Fragments, Truncated, has_fragment_per_frame
from app.dicom.plausible import BEFORE_ALL, is_filler, may_begin
from app.dicom.uids import has_pixels
from app.dicom.values import number_of, text_of
from app.dicom.walk import PIXELS, Read, Walked, walk
from app.settings import ImagingSettings

# JPIP Referenced (Deflate), of JPEG 2000 and of HTJ2K: the pixel data is elsewhere.
_JPIP = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (94, 95, 204, 205))
_CHUNK = 65_536

_UNDEFINED = 0xFFFFFFFF
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD


@dataclass(frozen=True)
class Pixels:
    """A data set's pixel data: its length, or where it is encapsulated, how many fragments it has; None and None where
    there is none.

    `rubbish` says whether what is no element stands behind the last one of a data set without pixel data.
    """

    size: int | None = None
    fragments: int | None = None
    rubbish: bool = False


def pixels_of(
    read: Read, walked: Walked, *, syntax: str, implicit: bool, little: bool, limits: ImagingSettings
) -> Pixels:
    """The pixel data behind a walk. Raises Truncated where the data set breaks off, at whatever element; OverLimit."""
    element = _PixelElement(read, walked.end, syntax, implicit, little, limits)
    if not walked.nested and element.is_there():
        return element.check()
    # The length of the last element may have lied. Without any element it is no data set.
    is_there = walked.settled == 0 or bool(read(walked.settled - 1, 1))
    head = read(walked.settled, 8)
    if not is_there or walked.last == BEFORE_ALL or may_begin(head, walked.last, implicit=implicit, little=little):
        raise Truncated("The part is not a DICOM instance, or it breaks off.")
    rest = read(walked.settled, _CHUNK)
    if not is_filler(rest):
        raise Truncated("The data set is damaged.")
    return Pixels(rubbish=bool(rest.strip(b"\0")))


def end_of(
    read: Read, walked: Walked, *, syntax: str, implicit: bool, little: bool, limits: ImagingSettings
) -> int | None:
    """Where a data set ends that has rubbish behind it, which no reader is to see; None for any other. Raises
    OverLimit.
    """
    element, end = _PixelElement(read, walked.end, syntax, implicit, little, limits), walked.settled
    if not walked.nested and element.is_there():
        try:
            element.check()
        except Truncated:
            return None
        end = element.end
    elif walked.last == BEFORE_ALL:
        return None  # no data set at all
    head = read(end, 8)
    # Whatever its tag: elements of some writers do not ascend.
    return end if head and not may_begin(head, BEFORE_ALL, implicit=implicit, little=little) else None


class _PixelElement:
    def __init__(
        self, read: Read, start: int, syntax: str, implicit: bool, little: bool, limits: ImagingSettings
    ) -> None:
        self._read = read
        self._start = start
        self.end = start
        self._syntax = syntax
        self._implicit = implicit
        self._little = little
        self._limits = limits
        order = "<" if little else ">"
        self._tag_and_length = Struct(f"{order}HHL").unpack
        self._long = Struct(f"{order}L").unpack
        self._short = Struct(f"{order}H").unpack

    def is_there(self) -> bool:
        """Whether pixel data begins here."""
        return self._tag() in PIXELS

    def check(self) -> Pixels:
        value, length = self._value(self._start)
        if length == _UNDEFINED:
            end, fragments = self._fragments(value)
            self._check_tail(end)
            return Pixels(fragments=fragments)
        if length and not self._read(value + length - 1, 1):
            raise Truncated("The pixel data breaks off.")
        self._check_tail(value + length)
        return Pixels(size=length)

    def _tag(self) -> int:
        group, element, _ = self._tag_and_length(self._read(self._start, 8).ljust(8, b"\0"))
        return int(group << 16 | element)

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

    def _fragments(self, at: int) -> tuple[int, int]:
        """Where the encapsulated pixel data (PS3.5 A.4) ends that begins here, and how many fragments hold frames."""
        found = Fragments(self._read, self._syntax)
        for number in range(self._limits.max_elements):
            head = self._read(at, 8)
            group, element, length = self._tag_and_length(head.ljust(8, b"\0"))
            tag = group << 16 | element
            at += 8
            if len(head) == 8 and tag == _SEQUENCE_END:
                return at, found.checked()
            if len(head) < 8 or tag != _ITEM or length == _UNDEFINED:
                break
            # The first item is the Basic Offset Table.
            if number and length:
                found.add(at, length)
            at += length
        raise Truncated("The encapsulated pixel data has no end.")

    def _check_tail(self, at: int) -> None:
        """Look at what follows the pixel data: elements (PS3.5 7.1), or rubbish, which is none of the data set."""
        implicit, little = self._implicit, self._little
        tail = walk(self._read, at, implicit=implicit, little=little, limits=self._limits, behind=self._tag())
        self.end = tail.settled
        is_there = bool(self._read(tail.settled - 1, 1))
        head = self._read(tail.settled, 8)
        if not is_there or may_begin(head, tail.last, implicit=implicit, little=little):
            raise Truncated("The data set breaks off behind its pixel data.")


def check_pixels(dataset: Dataset, pixels: Pixels, syntax: str) -> None:
    """See that there is as much pixel data as its header says. Raises Truncated."""
    if pixels.size is not None:
        if pixels.size < expected_pixel_bytes(dataset):
            raise Truncated("The pixel data is shorter than the header says.")
    elif pixels.fragments is not None:
        if has_fragment_per_frame(syntax) and pixels.fragments < number_of(dataset, "NumberOfFrames"):
            raise Truncated("The encapsulated pixel data has fewer fragments than the header says frames.")
    elif _lacks_pixels(dataset, pixels, syntax):
        raise Truncated("The image has no pixel data, though its header describes some: it breaks off.")


def _lacks_pixels(dataset: Dataset, pixels: Pixels, syntax: str) -> bool:
    """Whether an image without pixel data is to have some (PS3.3 C.7.6.3: it has, or says where it is)."""
    if not has_pixels(text_of(dataset, "SOPClassUID") or "") or "PixelDataProviderURL" in dataset or syntax in _JPIP:
        return False
    # Archives keep headers, without all that is said of pixels, as instances of their own.
    return pixels.rubbish or all(number_of(dataset, keyword) for keyword in ("Rows", "Columns", "BitsAllocated"))


def expected_pixel_bytes(dataset: Dataset) -> int:
    """Length of pixel data that is not encapsulated, as its header says; 0 where it does not."""
    rows, columns, bits = (number_of(dataset, keyword) for keyword in ("Rows", "Columns", "BitsAllocated"))
    samples, frames = (max(1, number_of(dataset, keyword)) for keyword in ("SamplesPerPixel", "NumberOfFrames"))
    expected = (rows * columns * samples * frames * bits + 7) // 8
    if (text_of(dataset, "PhotometricInterpretation") or "").upper() == "YBR_FULL_422":
        return expected * 2 // 3  # PS3.3 C.7.6.3.1.2: two pixels share their chrominance
    return expected
