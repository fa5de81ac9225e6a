"""Codestreams that decoders refuse are put right where only one thing can be meant."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames

from app.imaging.codestream import with_whole_scans
from app.imaging.pixel_module import settle
from app.imaging.stored import stored_values
from tests.support.service import SHARED

FILES = ("other_radiograph/RG2_JPLY.dcm", "pydicom/JPEG-lossy.dcm")
WHOLE = ("other_radiograph/RG2_JPLY_fixed.dcm", "pydicom/JPGExtended.dcm")


def jpeg(frame: int, *scans: bytes) -> bytes:
    """Markers without a picture, one scan of two components for each of `scans`, its last three parameters."""
    start = b"\xff\xd8" + bytes([0xFF, frame]) + b"\x00\x0b\x0c\x00\x10\x00\x10\x01\x01\x11\x00"
    return (
        start
        + b"".join(b"\xff\xda\x00\x0a\x02\x01\x00\x02\x11" + one + b"ab\xff\x00c\xff\xd0d" for one in scans)
        + b"\xff\xd9"
    )


@pytest.mark.parametrize("frame", [0xC0, 0xC1, 0xC9])
@pytest.mark.parametrize("stated", [b"\x00\x00\x00", b"\x00\x3e\x00", b"\x01\x3f\x00", b"\x00\x3f\x11"])
def test_scans_of_a_sequential_jpeg_are_whole_whatever_they_say(frame: int, stated: bytes) -> None:
    assert with_whole_scans(jpeg(frame, stated, stated)) == jpeg(frame, b"\x00\x3f\x00", b"\x00\x3f\x00")


@pytest.mark.parametrize(
    "stream",
    [
        jpeg(0xC1, b"\x00\x3f\x00"),
        jpeg(0xC2, b"\x00\x00\x00"),
        jpeg(0xC3, b"\x01\x00\x00"),
        jpeg(0xC1, b"\x00\x00\x00")[:20],
        b"\xff\xd8",
        b"\xff\xd8\xff\xda\x00\x00",
        b"\xff\x4f\xff\x51",
        b"",
    ],
)
def test_other_jpegs_are_left_as_they_are(stream: bytes) -> None:
    assert with_whole_scans(stream) is None


def values_of(path: Path) -> tuple[np.ndarray, list[str]]:
    dataset, warnings = pydicom.dcmread(path), list[str]()
    settle(dataset, warnings)
    return stored_values(dataset, warnings)[0], warnings


@pytest.mark.skipif(not SHARED.exists(), reason="the shared DICOM files are not here")
@pytest.mark.parametrize("name", [*FILES, *WHOLE])
@pytest.mark.skipif(shutil.which("dcmdjpeg") is None, reason="dcmdjpeg is not here")
def test_lossy_jpeg_of_12_bits_has_the_pixels_that_another_decoder_finds(name: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain.dcm"
    subprocess.run(["dcmdjpeg", str(SHARED / "dicom" / name), str(plain)], check=True, capture_output=True)
    found, warnings = values_of(SHARED / "dicom" / name)
    # Two implementations of the inverse transform may round differently (T.83).
    assert np.abs(found.astype(int) - pydicom.dcmread(plain).pixel_array).max() <= 1
    assert ["scans" in one for one in warnings] == [True] * (name in FILES)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared DICOM files are not here")
@pytest.mark.parametrize("name", WHOLE)
def test_a_jpeg_of_12_bits_with_scans_that_say_nothing_is_read_as_it_was(name: str) -> None:
    dataset, warnings = pydicom.dcmread(SHARED / "dicom" / name), list[str]()
    settle(dataset, warnings)
    plain = stored_values(dataset, warnings)[0]
    stream = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    at = stream.index(b"\xff\xda") + 2 + int.from_bytes(stream[stream.index(b"\xff\xda") + 2 :][:2], "big")
    stream[at - 3 : at] = b"\x00\x00\x00"
    dataset.PixelData = encapsulate([bytes(stream)])
    assert np.array_equal(stored_values(dataset, warnings)[0], plain)
    assert len(warnings) == 1
