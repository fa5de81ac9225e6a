"""What a compressed frame says of its size is believed by no decoder before it was compared."""

import io
import struct
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

from app.errors import InputError
from app.imaging import read_radiograph
from app.imaging.codestream_size import stream_size
from app.settings import ImagingSettings
from tests.support.radiographs import file_of, radiograph
from tests.support.service import SHARED, encoded, gradient

LIMITS = ImagingSettings()


def jpeg(width: int, height: int, progressive: bool = False) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(gradient(width, height)).save(buffer, "JPEG", progressive=progressive)
    return buffer.getvalue()


def j2k(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(gradient(width, height)).save(buffer, "JPEG2000", no_jp2=True)
    return buffer.getvalue()


def jp2(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(gradient(width, height)).save(buffer, "JPEG2000")
    return buffer.getvalue()


def jpeg_ls(width: int, height: int) -> bytes:
    import jpeg_ls

    return bytes(jpeg_ls.encode_array(gradient(width, height)))


def resized(stream: bytes, width: int, height: int) -> bytes:
    """The stream with another size in its header."""
    data = bytearray(stream)
    for marker in (b"\xff\xc0", b"\xff\xc2", b"\xff\xf7"):
        at = stream.find(marker)
        if stream.startswith(b"\xff\xd8") and at > 0:
            struct.pack_into(">HH", data, at + 5, height, width)
            return bytes(data)
    struct.pack_into(">II", data, stream.index(b"\xff\x4f\xff\x51") + 8, width, height)
    return bytes(data)


KINDS = {
    JPEGBaseline8Bit: jpeg,
    JPEGExtended12Bit: jpeg,
    JPEG2000Lossless: j2k,
    JPEGLSLossless: jpeg_ls,
}


@pytest.mark.parametrize("make", [jpeg, lambda *size: jpeg(*size, progressive=True), j2k, jp2, jpeg_ls])
@pytest.mark.parametrize("size", [(300, 280), (64, 64), (1001, 333)])
def test_the_size_is_that_of_the_stream(make: object, size: tuple[int, int]) -> None:
    found = stream_size(make(*size))  # type: ignore[operator]
    assert found is not None
    assert (found.width, found.height) == size


def wrapped(frame: bytes, syntax: str, rows: int, columns: int) -> bytes:
    dataset = radiograph(gradient(columns, rows))
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    return file_of(dataset)


@pytest.mark.parametrize("syntax", list(KINDS))
@pytest.mark.parametrize("size", [(65_535, 65_535), (300, 20_000), (301, 280), (280, 300), (64, 64)])
def test_a_frame_of_another_size_than_the_header_says_is_refused_before_it_is_decoded(
    syntax: str, size: tuple[int, int]
) -> None:
    frame = resized(KINDS[syntax](300, 280), *size)
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        read_radiograph(wrapped(frame, syntax, 280, 300), LIMITS, 256)
    assert caught.value.code in ("damaged_image", "too_many_pixels")
    assert time.monotonic() - started < 5.0


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless, JPEGLSLossless])
def test_a_frame_of_the_headers_size_is_read(syntax: str) -> None:
    assert read_radiograph(wrapped(KINDS[syntax](300, 280), syntax, 280, 300), LIMITS, 256).width == 300


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(7_900, 8_000), (4_000, 4_000), (65_000, 65_000)])
def test_a_jpeg_of_a_few_kilobytes_that_says_it_is_large_is_no_image(progressive: bool, size: tuple[int, int]) -> None:
    with pytest.raises(InputError):
        read_radiograph(resized(jpeg(300, 280, progressive), *size), LIMITS, 256)


def test_a_progressive_jpeg_with_its_last_scan_repeated_is_refused_at_once() -> None:
    stream = jpeg(3_000, 3_000, progressive=True)
    last = stream.rindex(b"\xff\xda")
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        read_radiograph(stream[:-2] + stream[last:-2] * 3_000 + b"\xff\xd9", LIMITS, 256)
    assert caught.value.code == "too_many_scans"
    assert time.monotonic() - started < 10.0


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_smallest_jpegs_of_large_images_have_more_than_the_least_bytes(value: int, progressive: bool) -> None:
    buffer = io.BytesIO()
    image = Image.fromarray(np.full((4_000, 4_000), value, np.uint8))
    image.save(buffer, "JPEG", quality=1, optimize=True, progressive=progressive)
    found = stream_size(buffer.getvalue())
    assert found is not None
    assert 0 < found.least_bytes < len(buffer.getvalue())


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 5, 9, 20, 40, 100])
@pytest.mark.parametrize("make", [jpeg, j2k, jp2, jpeg_ls])
def test_a_header_that_breaks_off_has_no_size_or_its_own(make: object, cut: int) -> None:
    found = stream_size(make(300, 280)[:cut])  # type: ignore[operator]
    assert found is None or (found.width, found.height) == (300, 280)


@pytest.mark.skipif(not SHARED.exists(), reason="the DICOM files are not here")
def test_real_files_have_the_sizes_of_their_headers() -> None:
    seen = 0
    for path in sorted(Path(SHARED / "dicom").rglob("*")):
        if not path.is_file():
            continue
        try:
            dataset = pydicom.dcmread(path)
            if not dataset.file_meta.TransferSyntaxUID.is_encapsulated or "PixelData" not in dataset:
                continue
            frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
            rows, columns = int(dataset.Rows), int(dataset.Columns)
            dataset.pixel_array  # noqa: B018  what decodes is of the header's size
        except Exception:
            continue
        found = stream_size(frame)
        if found is not None:
            seen += 1
            assert (found.height, found.width) == (rows, columns), path
    assert seen > 3


def test_kinds_without_an_encoder_here_share_the_header_of_those_with_one() -> None:
    # HTJ2K has JPEG 2000's SIZ, lossless JPEG baseline's SOF.
    assert HTJ2KLossless.is_encapsulated
    assert JPEGLosslessSV1.is_encapsulated
    sof3 = jpeg(300, 280).replace(b"\xff\xc0", b"\xff\xc3")
    found = stream_size(sof3)
    assert found is not None
    assert found.least_bytes == 300 * 280 // 8
    assert encoded(gradient(), "JPEG")[:2] == b"\xff\xd8"
