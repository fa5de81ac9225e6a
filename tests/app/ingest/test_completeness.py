"""What breaks off is refused at the door: nothing of it is kept, and the whole is taken when it is sent again."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGLSLossless

from app.dicom.status import FailureReason
from tests.app.ingest.test_transfer_syntaxes import WRITTEN, written
from tests.support.ingest import Held
from tests.support.studies import instance, parsed

_DEFLATED = "1.2.840.10008.1.2.1.99"


def refused(held: Held, data: bytes) -> str:
    """Why an instance is refused, of which nothing is kept."""
    before = held.spool.names()
    receipt = held.accept(data)
    assert receipt.failure is FailureReason.CANNOT_UNDERSTAND
    assert held.spool.names() == before
    return receipt.detail


def taken(held: Held, data: bytes) -> bool:
    """Whether an instance is stored without a warning."""
    receipt = held.accept(data)
    return (receipt.failure, receipt.warning) == (None, None)


def saved(dataset: Dataset) -> bytes:
    """A data set as a file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def native(frames: int = 1, **attributes: Any) -> Dataset:
    """An instance with uncompressed pixel data, as long as its attributes say."""
    dataset = parsed(instance(Rows=4, Columns=6, NumberOfFrames=frames, **attributes))
    dataset.PixelData = bytes(4 * 6 * 2 * frames)
    return dataset


@pytest.mark.parametrize("syntax", WRITTEN, ids=lambda syntax: UID(syntax).keyword)
def test_a_data_set_that_breaks_off_anywhere_is_refused_in_every_transfer_syntax(held: Held, syntax: UID) -> None:
    whole = written(syntax)
    cuts = {700, len(whole) // 2, len(whole) - 1_000, len(whole) - 9, len(whole) - 7, len(whole) - 3, len(whole) - 2}
    for cut in sorted(cuts):
        refused(held, whole[:cut])
    assert taken(held, whole)


def up_to(dataset: Dataset, last: int) -> bytes:
    """A file of the elements up to a tag."""
    cut = dataset[: last + 1]
    cut.file_meta = dataset.file_meta
    return saved(cut)


def test_a_header_without_pixel_data_that_breaks_off_within_an_element_is_refused(held: Held) -> None:
    dataset = parsed(instance())
    del dataset.PixelData
    whole = saved(dataset)
    ends = {len(up_to(dataset, tag)) for tag in dataset.keys()}  # noqa: SIM118
    for cut in set(range(len(whole) - 120, len(whole))) - ends:
        assert "breaks off" in refused(held, whole[:cut]), cut


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"frames": 3},
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0},
        {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31},
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422", "BitsAllocated": 8, "BitsStored": 8},
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
    ],
    ids=str,
)
def test_pixel_data_that_is_shorter_than_the_header_says_is_refused(held: Held, attributes: dict[str, Any]) -> None:
    dataset = native(**attributes)
    samples, bits, frames = dataset.SamplesPerPixel, dataset.BitsAllocated, int(dataset.NumberOfFrames)
    length = 4 * 6 * samples * bits * frames // 8
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        length = length * 2 // 3
    for missing in {2, length // 4 * 2, length + length % 2} - {0}:
        dataset.PixelData = bytes(max(0, length + length % 2 - missing))
        assert refused(held, saved(dataset)) == "The pixel data is shorter than the header says."
    dataset.PixelData = bytes(length + length % 2)
    assert taken(held, saved(dataset))


def test_pixel_data_that_is_longer_and_attributes_that_are_missing_or_rubbish_are_no_reason_to_refuse(
    held: Held,
) -> None:
    dataset = native()
    dataset.PixelData += bytes(64)
    assert taken(held, saved(dataset))
    for keyword in ("Rows", "BitsAllocated", "NumberOfFrames"):
        dataset = native()
        dataset.PixelData = bytes(48)
        del dataset[keyword]
        assert taken(held, saved(dataset)), keyword


@pytest.mark.parametrize("vr", ["OF", "OD"])
def test_float_pixel_data_that_breaks_off_is_refused(held: Held, vr: str) -> None:
    keyword, size = {"OF": ("FloatPixelData", 4), "OD": ("DoubleFloatPixelData", 8)}[vr]
    dataset = native(BitsAllocated=8 * size)
    del dataset.PixelData
    setattr(dataset, keyword, np.zeros(24, f"<f{size}").tobytes())
    whole = saved(dataset)
    refused(held, whole[:-size])
    assert taken(held, whole)


def encapsulated(fragments: list[bytes], syntax: UID = JPEGLSLossless) -> Dataset:
    """An instance with these fragments."""
    dataset = parsed(instance())
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(fragments) if fragments else struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return dataset


def codestream() -> bytes:
    """One JPEG-LS frame."""
    dataset = parsed(written(JPEGLSLossless))
    return next(generate_frames(dataset.PixelData, number_of_frames=1)).rstrip(b"\0")


def test_a_codestream_without_its_end_is_refused_though_its_fragment_is_whole(held: Held) -> None:
    frame = codestream()
    assert refused(held, saved(encapsulated([frame[:-500]]))) == "The last compressed frame breaks off."
    assert refused(held, saved(encapsulated([frame[:-500]], JPEGBaseline8Bit)))
    assert refused(held, saved(encapsulated([]))) == "The encapsulated pixel data is empty."
    for padding in (b"", b"\0", b"\0" * 100, b"\xff" * 3, b"rubbish"):
        assert taken(held, saved(encapsulated([frame + padding]))), padding


def test_a_fragment_of_undefined_length_or_what_is_no_fragment_is_refused(held: Held) -> None:
    whole = saved(encapsulated([codestream()]))
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    assert whole.endswith(end)
    for instead in (b"", b"\0" * 8, struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + b"\0" * 64, end[:7]):
        assert refused(held, whole[: -len(end)] + instead) == "The encapsulated pixel data has no end."


@pytest.mark.parametrize("make", [lambda: native(), lambda: encapsulated([codestream()])], ids=["native", "JPEG-LS"])
def test_elements_behind_the_pixel_data_are_looked_at_and_rubbish_there_is_not(held: Held, make: Any) -> None:
    dataset = make()
    dataset.DataSetTrailingPadding = bytes(300)
    whole = saved(dataset)
    for cut in (1, 100, 299):
        assert refused(held, whole[:-cut]) == "The data set breaks off behind its pixel data."
    assert taken(held, whole)
    for rubbish in (bytes(1), bytes(7), bytes(4_096), b"rubbish", b"rubbish " * 20):
        assert taken(held, saved(make()) + rubbish), rubbish[:8]


@pytest.mark.parametrize("undefined", [True, False])
def test_a_sequence_that_breaks_off_is_refused(held: Held, undefined: bool) -> None:
    dataset = parsed(instance())
    del dataset.PixelData
    item = Dataset()
    item.PatientID, item.IssuerOfPatientID = "X", "Y"
    dataset.OtherPatientIDsSequence = Sequence([item])
    dataset["OtherPatientIDsSequence"].is_undefined_length = undefined
    whole = up_to(dataset, 0x00101002)
    # What follows the sequence's header, so that all of it is in the sequence.
    length = len(whole) - whole.index(b"\x10\x00\x02\x10SQ") - 12
    for cut in range(2, length, 4):
        refused(held, whole[:-cut])
    # Two UIDs of the series and study stand behind it.
    assert "no valid" in refused(held, whole)


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan_truncated.dcm"])
def test_truncated_files_of_other_projects_are_refused(held: Held, name: str) -> None:
    refused(held, Path(str(get_testdata_file(name))).read_bytes())


def test_a_stored_instance_stays_when_a_copy_of_it_breaks_off(held: Held) -> None:
    whole = instance()
    assert taken(held, whole)
    refused(held, whole[:-20_000])
    assert taken(held, whole)
