"""What stands behind a data set's end, at the end of compressed frames, and in place of pixel data."""

import io
import struct
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from app.imaging.metadata import metadata
from app.imaging.transcode import transcode
from app.settings import ImagingSettings
from tests.app.ingest.test_completeness import codestream, native, refused, saved, taken
from tests.app.ingest.test_transfer_syntaxes import written
from tests.support.ingest import Held
from tests.support.studies import instance, parsed

_MPEG4, _JPEG2000_MULTI_COMPONENT = "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.93"
_BROKEN = "The last compressed frame breaks off."


def compressed(fragments: list[bytes], syntax: str = JPEGLSLossless, **attributes: Any) -> bytes:
    """A file with these fragments, as they are, behind an empty offset table."""
    dataset = parsed(instance(**attributes))
    dataset.file_meta.TransferSyntaxUID = syntax
    items = (struct.pack("<HHL", 0xFFFE, 0xE000, len(one)) + one for one in (b"", *fragments))
    dataset.PixelData = b"".join(items)
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return saved(dataset)


def odd_frame() -> bytes:
    """A frame of an odd length, so that its end marker lies across the border of two fragments."""
    frame = codestream()
    return frame if len(frame) % 2 else frame[:2] + b"\xff\xfe\x00\x03A" + frame[2:]


def report(syntax: str = ExplicitVRLittleEndian) -> Dataset:
    """A structured report, which has no pixel data."""
    dataset = parsed(instance())
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    dataset.ContentSequence = Sequence([Dataset()])
    dataset.ContentSequence[0].TextValue = "x"
    return in_syntax(dataset, syntax)


def in_syntax(dataset: Dataset, syntax: str) -> Dataset:
    """A data set that is written in that syntax."""
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def written_in(dataset: Dataset) -> bytes:
    """A file of a data set in the syntax that its meta information states."""
    syntax, buffer = dataset.file_meta.TransferSyntaxUID, io.BytesIO()
    plain = Dataset()  # one that was read is not written in another byte order
    for one in dataset:
        plain.add(one)
    plain.file_meta, plain.preamble = dataset.file_meta, bytes(128)
    plain.save_as(buffer, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian)
    return buffer.getvalue()


FRAME, ODD = codestream(), odd_frame()
EVEN = FRAME + b"\0" * (len(FRAME) % 2)
WHOLE = {
    "one fragment": [EVEN],
    "two fragments": [EVEN[:100], EVEN[100:]],
    "the marker lies across two": [ODD[:-1], ODD[-1:] + b"\0"],
    "the marker lies across two, then padding": [ODD[:-1], ODD[-1:] + b"\xff" * 5_001],
    "an empty last fragment": [EVEN, b""],
    "an empty fragment between": [EVEN[:100], b"", EVEN[100:]],
    "a fragment of padding": [EVEN, b"\0\0"],
    "fragments of padding": [EVEN, *[b"\xff\xff", b"\0" * 70_000, b""] * 3],
    "many zeros": [EVEN + b"\0" * 200_000],
    "many FF": [EVEN + b"\xff" * 4_200],
    "rubbish, then padding": [EVEN + b"rubbish " + b"\0" * 9_000],
}
BROKEN = {
    "half": [EVEN[: len(EVEN) // 4 * 2]],
    "half, then zeros": [EVEN[: len(EVEN) // 4 * 2] + b"\0" * 5_000],
    "half, then FF": [EVEN[: len(EVEN) // 4 * 2] + b"\xff" * 5_000],
    "half, then a fragment of padding": [EVEN[: len(EVEN) // 4 * 2], b"\0\0"],
    "a second frame of a few bytes": [EVEN, EVEN[:64]],
    "the marker's first half": [ODD[:-1]],
}


@pytest.mark.parametrize("name", WHOLE)
def test_the_end_marker_is_found_wherever_it_lies_and_whatever_pads_it(held: Held, name: str) -> None:
    assert taken(held, compressed(WHOLE[name]))


@pytest.mark.parametrize("name", BROKEN)
def test_padding_does_not_make_a_codestream_whole(held: Held, name: str) -> None:
    assert refused(held, compressed(BROKEN[name])) == _BROKEN


def test_fragments_of_nothing_but_padding_hold_no_frame(held: Held) -> None:
    for fragments in ([b""], [b"\0\0"], [b"\0" * 100_000, b"\xff\xff"]):
        assert refused(held, compressed(fragments)) == "The encapsulated pixel data is empty."


@pytest.mark.parametrize(
    ("fragments", "frames", "syntax", "is_whole"),
    [
        ([EVEN], 1, JPEGLSLossless, True),
        ([EVEN, EVEN], 2, JPEGLSLossless, True),
        ([EVEN[:100], EVEN[100:], EVEN], 2, JPEGLSLossless, True),
        ([EVEN], 2, JPEGLSLossless, False),
        ([EVEN, b""], 2, JPEGLSLossless, False),
        ([EVEN, b"\0" * 4_000], 2, JPEGLSLossless, False),
        ([b"a video "], 30, _MPEG4, True),
        ([EVEN], 2, _JPEG2000_MULTI_COMPONENT, True),
    ],
)
def test_each_frame_has_a_fragment_but_those_of_a_video(
    held: Held, fragments: list[bytes], frames: int, syntax: str, is_whole: bool
) -> None:
    data = compressed(fragments, syntax, NumberOfFrames=frames)
    if is_whole:
        assert taken(held, data)
    else:
        assert "fewer fragments" in refused(held, data)


def test_an_rle_frame_whose_segments_begin_behind_its_end_is_refused(held: Held) -> None:
    frame = next(generate_frames(parsed(written(RLELossless)).PixelData, number_of_frames=1))
    second = struct.unpack("<16L", frame[:64])[2]
    assert taken(held, compressed([frame], RLELossless))
    assert taken(held, compressed([frame, b"\0\0"], RLELossless))
    for end in (2, 62, 64, second // 2 * 2):
        assert refused(held, compressed([frame[:end]], RLELossless)) == _BROKEN
        assert refused(held, compressed([frame, frame[:end]], RLELossless, NumberOfFrames=2)) == _BROKEN


RUBBISH = {
    "a zero": bytes(1),
    "zeros": bytes(7),
    "many zeros": bytes(4_096),
    "spaces": b" " * 512,
    "a line end": b"\r\n",
    "FF": b"\xff" * 3,
    "many FF": b"\xff" * 100,
    "AA": b"\xaa" * 100,
    "F0": b"\xf0" * 16,
    "1A": b"\x1a" * 128,
    "words": b"rubbish",
    "a second file": instance()[:900],
}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian], ids=str)
@pytest.mark.parametrize("make", [native, report])
@pytest.mark.parametrize("name", RUBBISH)
def test_what_is_no_element_behind_a_data_set_is_passed_over(held: Held, make: Any, name: str, syntax: str) -> None:
    whole = written_in(in_syntax(make(), syntax))
    if name == "words" and make is report:
        # It may as well be a damaged element with others behind it.
        assert "damaged" in refused(held, whole + RUBBISH[name])
    else:
        assert taken(held, whole + RUBBISH[name])


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_in_place_of_the_pixel_data_makes_no_image(held: Held, name: str) -> None:
    dataset = native()
    del dataset.PixelData
    assert "no pixel data" in refused(held, saved(dataset) + RUBBISH[name]) or name == "words"
    del dataset.Rows
    receipt = held.accept(saved(dataset) + RUBBISH[name])
    assert (receipt.failure is None) == (not RUBBISH[name].strip(b"\0"))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian], ids=str)
@pytest.mark.parametrize("make", [native, report])
@pytest.mark.parametrize("name", RUBBISH)
def test_what_is_passed_over_is_in_no_answer(make: Any, name: str, syntax: str) -> None:
    whole, limits = written_in(in_syntax(make(), syntax)), ImagingSettings()
    with_rubbish = io.BytesIO(whole + RUBBISH[name])
    assert metadata(with_rubbish, "uri", limits) == metadata(io.BytesIO(whole), "uri", limits)
    assert [*transcode(with_rubbish, limits)] == [*transcode(io.BytesIO(whole), limits)]


def element(tag: int, vr: bytes, length: int, syntax: str) -> bytes:
    """The header of an element of that length."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    if syntax == ImplicitVRLittleEndian:
        return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length)
    return struct.pack(f"{order}HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, length)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian], ids=str)
@pytest.mark.parametrize("make", [native, report])
@pytest.mark.parametrize(
    ("tag", "vr"), [(0x7FE11010, b"OB"), (0xFFFAFFFA, b"SQ"), (0xFFFCFFFC, b"OB")], ids=["private", "signature", "pad"]
)
def test_a_last_element_that_breaks_off_is_refused(held: Held, make: Any, tag: int, vr: bytes, syntax: str) -> None:
    whole = written_in(in_syntax(make(), syntax))
    header = element(tag, vr, 64, syntax)
    for left in (4, 6, 8, len(header) - 1, len(header), len(header) + 62):
        assert "breaks off" in refused(held, whole + (header + bytes(62))[:left]), left
    undefined = element(tag, vr, 0xFFFFFFFF, syntax)
    item = struct.pack(">HHL" if syntax == ExplicitVRBigEndian else "<HHL", 0xFFFE, 0xE000, 0)
    assert "breaks off" in refused(held, whole + undefined + item)
    assert taken(held, whole + header + bytes(64))
