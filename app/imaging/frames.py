"""Encapsulated pixel data, decoded frame by frame, and what the header says of it then. For confined processes."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import UID, RLELossless

from app.dicom.values import number_of, text_of
from app.errors import InputError, MalformedInput, TooLarge, UnsupportedMedia
from app.imaging.codestream_size import check_stream
from app.imaging.explicit import PIXEL_DATA, Value, value_of
from app.imaging.stored import repair
from app.imaging.syntaxes import LOSSLESS
from app.settings import ImagingSettings

# (Extended) Offset Table, its lengths and the total: of encapsulated pixel data alone (PS3.3 C.7.6.3.1.8).
_TABLES = (0x7FE00001, 0x7FE00002, 0x7FE00003)
_PHOTOMETRIC, _PLANAR, _ALLOCATED = 0x00280004, 0x00280006, 0x00280100


def decoded(dataset: Dataset, syntax: str, limits: ImagingSettings) -> dict[int, Value | None]:
    """The elements of a data set whose pixel data is encapsulated that decoding changes, the pixel data among them.

    Raises UnsupportedMedia without a decoder, MalformedInput, UnusableImage, TooLarge.
    """
    if not UID(syntax).is_encapsulated:
        raise _damaged()
    count = max(1, number_of(dataset, "NumberOfFrames"))
    _check_streams(dataset, count, limits)
    frames = _frames(dataset, UID(syntax))
    try:
        first, properties = _next(frames)
    except MalformedInput:
        if count > 1 or not repair(dataset, UID(syntax)):
            raise
        frames = _frames(dataset, UID(syntax))
        first, properties = _next(frames)
    if len(first) != _frame_bytes(properties) or properties["rows"] * properties["columns"] > limits.max_pixels:
        raise _damaged()
    size, data = len(first) * count, _data(first, frames, count)
    if number_of(dataset, "BitsAllocated") == 1:
        # PS3.5 8.1.1: decoders give a byte for each pixel of one bit.
        size, data, properties["bits_allocated"] = (size + 7) // 8, _packed(data), 1
    check_total(size, limits)
    return {
        **dict.fromkeys(_TABLES),
        **_described(dataset, properties),
        PIXEL_DATA: Value("OW" if properties["bits_allocated"] > 8 else "OB", size + size % 2, _padded(data, size)),
    }


def check_total(size: int, limits: ImagingSettings) -> None:
    """Refuse what is larger than an instance may be that is given in another form. Raises TooLarge."""
    if size > limits.max_transcoded_mb * 1_000_000:
        raise TooLarge(f"It is larger than {limits.max_transcoded_mb} MB once decoded.", code="over_limit")


def _damaged() -> MalformedInput:
    return MalformedInput("The pixel data is damaged or incomplete.", code="damaged_image")


def _frame_bytes(properties: dict[str, Any]) -> int:
    samples = properties["rows"] * properties["columns"] * properties["samples_per_pixel"]
    return int(samples * properties["bits_allocated"] // 8)


def _check_streams(dataset: Dataset, count: int, limits: ImagingSettings) -> None:
    """Refuse frames that are not of the header's size, before a decoder sees any, and fewer of them than it says."""
    rows, columns = number_of(dataset, "Rows"), number_of(dataset, "Columns")
    least = rows * columns * max(1, number_of(dataset, "SamplesPerPixel")) * number_of(dataset, "BitsAllocated") // 8
    check_total(least * count, limits)
    offsets = None
    try:
        if dataset.get("ExtendedOffsetTable") and dataset.get("ExtendedOffsetTableLengths"):
            offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
        found = 0
        streams = generate_frames(dataset.PixelData, number_of_frames=count, extended_offsets=offsets)
        for stream in islice(streams, count):
            check_stream(stream, columns, rows, limits.max_pixels)
            found += 1
    except (InputError, MemoryError):
        raise
    except Exception as error:  # pydicom raises many kinds on damaged encapsulation
        raise _damaged() from error
    if found < count:
        raise _damaged()


def _frames(dataset: Dataset, syntax: UID) -> Iterator[tuple[bytes, dict[str, Any]]]:
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise UnsupportedMedia(
            f"There is no decoder for the transfer syntax {syntax}.", code="unsupported_transfer_syntax"
        ) from error
    # To RGB only what was lossy before; RLE holds all bits, those above the pixel's as well.
    options: dict[str, Any] = {"as_rgb": syntax not in LOSSLESS}
    if syntax == RLELossless:
        options["correct_unused_bits"] = False
    for pixels, properties in decoder.iter_array(dataset, **options):
        yield np.ascontiguousarray(pixels).tobytes(), properties


def _next(frames: Iterator[tuple[bytes, dict[str, Any]]]) -> tuple[bytes, dict[str, Any]]:
    try:
        return next(frames)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # decoders raise many kinds on damaged data
        raise _damaged() from error


def _data(first: bytes, frames: Iterator[tuple[bytes, dict[str, Any]]], count: int) -> Iterator[bytes]:
    yield first
    for _ in range(count - 1):
        frame, _properties = _next(frames)
        if len(frame) != len(first):
            raise _damaged()
        yield frame


def _packed(data: Iterator[bytes]) -> Iterator[bytes]:
    """Pixels of one bit, eight in a byte, the first in its lowest bit; frames follow each other within a byte."""
    left = np.zeros(0, np.uint8)
    for frame in data:
        pixels = np.concatenate((left, np.frombuffer(frame, np.uint8)))
        whole = len(pixels) // 8 * 8
        left = pixels[whole:]
        yield np.packbits(pixels[:whole], bitorder="little").tobytes()
    yield np.packbits(left, bitorder="little").tobytes()


def _padded(data: Iterator[bytes], size: int) -> Iterator[bytes]:
    yield from data
    if size % 2:
        yield b"\0"


def _described(dataset: Dataset, properties: dict[str, Any]) -> dict[int, Value | None]:
    """Elements of the Image Pixel module that are other than they were (PS3.5 8.2)."""
    changed: dict[int, Value | None] = {}
    photometric = str(properties["photometric_interpretation"])
    if photometric != text_of(dataset, "PhotometricInterpretation"):
        changed[_PHOTOMETRIC] = value_of("CS", photometric.encode())
    numbers = {_ALLOCATED: ("BitsAllocated", properties["bits_allocated"])}
    if properties["samples_per_pixel"] > 1:
        numbers[_PLANAR] = ("PlanarConfiguration", 0)
    for tag, (keyword, number) in numbers.items():
        if keyword not in dataset or number_of(dataset, keyword) != number:
            changed[tag] = value_of("US", int(number).to_bytes(2, "little"))
    return changed
