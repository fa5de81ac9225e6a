"""Instances in Explicit VR Little Endian: from every syntax, the same pixels and the same elements."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from app.errors import InputError, MalformedInput, NotFound, TooLarge, UnsupportedMedia
from app.imaging import transcode
from app.settings import ImagingSettings
from tests.support.service import SHARED
from tests.support.studies import instance, parsed
from tests.support.syntaxes import WRITABLE, rich, written

LIMITS = ImagingSettings()
FOLDER = SHARED / "dicom"
PIXELS = "7FE00010"
# What decoding may change (PS3.5 8.2).
DESCRIPTION = {"00280004", "00280006", PIXELS, "7FE00001", "7FE00002"}
# 1-bit RLE and deflated frames have no decoder here; the others are damaged, or of a codec that is.
REFUSED = {
    "liver_nonbyte_aligned_deflate.dcm", "liver_nonbyte_aligned_rle.dcm", "liver_rle.dcm", "MR_truncated.dcm",
    "rtplan_truncated.dcm", "JPEG2000-embedded-sequence-delimiter.dcm",
    "no_meta.dcm", "zipMR.gz",
}  # fmt: skip


def transcoded(data: bytes, limits: ImagingSettings = LIMITS) -> Dataset:
    return parsed(b"".join(transcode.transcode(io.BytesIO(data), limits)))


def bulk(data: bytes, path: str) -> bytes:
    return b"".join(transcode.bulk(io.BytesIO(data), path, LIMITS))


def own_files() -> list[Path]:
    return sorted(Path(str(get_testdata_file("CT_small.dcm"))).parent.glob("*.dcm"))


def shared_files() -> list[Path]:
    return [path for path in sorted(FOLDER.rglob("*")) if path.is_file() and path.suffix != ".csv"]


def differences(one: Dataset, other: Dataset, big: bool) -> Iterable[str]:
    for tag in sorted({*one.keys(), *other.keys()}):
        name = f"{tag:08X}"
        if tag.element == 0 or name in DESCRIPTION:
            continue
        if tag not in one or tag not in other:
            yield name
            continue
        first, second = one[tag], other[tag]
        if first.VR == "SQ" and second.VR == "SQ":
            if len(first.value) != len(second.value):
                yield name
            for inner, copy in zip(first.value, second.value, strict=False):
                yield from (f"{name}.{found}" for found in differences(inner, copy, big))
        elif _plain(first, big) != _plain(second, False):
            yield name


def _plain(element: DataElement, big: bool) -> Any:
    value = element.value
    if isinstance(value, bytes):
        if big and element.VR == "OW":
            value = np.frombuffer(value, ">u2").astype("<u2").tobytes()
        return value.rstrip(b"\0")
    return "" if value is None else value if not isinstance(value, float) else repr(value)


def check(data: bytes, name: str) -> None:
    source = pydicom.dcmread(io.BytesIO(data), force=True)
    if name in REFUSED:
        with pytest.raises(InputError):
            transcoded(data)
        return
    result = transcoded(data)
    syntax = source.file_meta.get("TransferSyntaxUID")
    assert result.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert result.file_meta.get("MediaStorageSOPInstanceUID") == source.file_meta.get(
        "MediaStorageSOPInstanceUID", source.get("SOPInstanceUID")
    )
    assert list(differences(source, result, syntax == ExplicitVRBigEndian)) == []
    if "PixelData" not in source or syntax is None:
        return
    try:
        expected = source.pixel_array
    except Exception:  # pydicom does not read them either
        return
    if syntax == RLELossless or (syntax.is_compressed and not _is_colour(source)):
        # Lossless colour stays as it is; pydicom makes RGB of it.
        assert source.PhotometricInterpretation == result.PhotometricInterpretation
    if syntax.is_compressed and _is_colour(source):
        assert result.PhotometricInterpretation in ("RGB", "YBR_FULL")
        assert result.PlanarConfiguration == 0
    np.testing.assert_array_equal(expected, result.pixel_array)


def _is_colour(dataset: Dataset) -> bool:
    return int(dataset.SamplesPerPixel) > 1


@pytest.mark.parametrize("file", own_files(), ids=lambda file: file.name)
def test_a_file_of_pydicom_keeps_its_pixels_and_elements(file: Path) -> None:
    check(file.read_bytes(), file.name)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="shared data is absent")
@pytest.mark.parametrize("file", shared_files(), ids=lambda file: file.name)
def test_a_real_file_keeps_its_pixels_and_elements(file: Path) -> None:
    check(file.read_bytes(), file.name)


@pytest.mark.parametrize("syntax", WRITABLE, ids=lambda uid: uid.name)
def test_nothing_is_lost_from_any_syntax_that_can_be_written(syntax: str) -> None:
    expected = rich()
    result = transcoded(written(rich(SOPInstanceUID=expected.SOPInstanceUID), syntax))
    expected.SOPInstanceUID = result.SOPInstanceUID
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        setattr(expected, keyword, result[keyword].value)
    assert result.PixelData == expected.PixelData
    assert result["PixelData"].VR == "OW"
    assert str(result.PatientName) == "Käse^Ä"
    assert result.LossyImageCompression == "01"
    # Implicit VR has lost the VRs of private elements; their bytes are there (PS3.5 6.2.2).
    lost = ["00091002", "00091003"] if syntax == ImplicitVRLittleEndian else []
    assert list(differences(expected, result, False)) == lost
    assert not lost or (result[0x0009, 0x1002].VR, result[0x0009, 0x1002].value) == ("UN", np.float64(1.5).tobytes())
    nested = result.RequestAttributesSequence[0].ReferencedImageSequence
    assert nested[0].RedPaletteColorLookupTableData == b"\1\2\3\4"
    assert len(nested[1]) == 0


@pytest.mark.parametrize("syntax", WRITABLE, ids=lambda uid: uid.name)
def test_bulk_data_is_little_endian_and_decoded_from_any_syntax(syntax: str) -> None:
    dataset = rich()
    expected = dataset.PixelData
    data = written(dataset, syntax)
    assert bulk(data, PIXELS) == expected
    assert bulk(data, "00400275/0/00081140/0/00281201") == b"\1\2\3\4"
    assert bulk(data, "00091002") == np.float64(1.5).tobytes()
    for missing in (
        "00400275",
        "00400275/1/00081140",
        "00080018/0/00080018",
        "00281201",
        "00400275/0/00081140/1/00281201",
    ):
        with pytest.raises(NotFound):
            bulk(data, missing)


@pytest.mark.parametrize(("columns", "frames"), [(65, 1), (65, 3), (64, 2)])
def test_pixel_data_of_odd_length_is_padded_once(columns: int, frames: int) -> None:
    dataset = parsed(instance())
    pixels = np.arange(65 * columns * frames, dtype=np.uint32).astype(np.uint8).reshape(frames, 65, columns)
    dataset.set_pixel_data(pixels if frames > 1 else pixels[0], "MONOCHROME2", 8, generate_instance_uid=False)
    expected = pixels.tobytes() + b"\0" * (pixels.size % 2)
    data = written(dataset, RLELossless)
    result = transcoded(data)
    assert (result.PixelData, result["PixelData"].VR) == (expected, "OB")
    assert bulk(data, PIXELS) == expected
    assert int(result.get("NumberOfFrames") or 1) == frames


def test_an_icon_that_is_compressed_is_decoded_too() -> None:
    icon = parsed(instance())
    expected = icon.PixelData
    icon.compress(RLELossless, generate_instance_uid=False)
    dataset = parsed(instance())
    item = Dataset()
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(item, keyword, icon[keyword].value)
    item.SamplesPerPixel, item.PhotometricInterpretation = 1, icon.PhotometricInterpretation
    item.PixelData = icon.PixelData
    item["PixelData"].is_undefined_length = True
    item["PixelData"].VR = "OB"
    dataset.IconImageSequence = [item]
    result = transcoded(written(dataset, RLELossless))
    assert result.IconImageSequence[0].PixelData == expected


def test_frames_that_are_missing_damaged_or_without_a_decoder_are_refused() -> None:
    dataset = parsed(instance())
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.NumberOfFrames = 2
    with pytest.raises(MalformedInput):
        transcoded(written_as_is(dataset))
    dataset.NumberOfFrames = 1
    dataset.PixelData = encapsulate([b"\0" * 100])
    with pytest.raises(MalformedInput):
        transcoded(written_as_is(dataset))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
    with pytest.raises(UnsupportedMedia):
        transcoded(written_as_is(dataset))


def written_as_is(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_pixel_data_is_not_taken_for_encapsulated_or_plain_against_its_syntax() -> None:
    dataset = parsed(instance())
    dataset.compress(RLELossless, generate_instance_uid=False)
    data = written_as_is(dataset).replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.1\0")
    assert parsed(data).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    for given in (lambda: transcoded(data), lambda: bulk(data, PIXELS)):
        with pytest.raises(MalformedInput):
            given()


def test_what_is_larger_than_the_limit_once_decoded_is_refused_before_it_is_decoded() -> None:
    dataset = parsed(instance())
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.NumberOfFrames = 1_000_000
    with pytest.raises(TooLarge):
        next(transcode.bulk(io.BytesIO(written_as_is(dataset)), PIXELS, LIMITS))
    whole = instance(RedPaletteColorLookupTableData=bytes(2_000_000))
    with pytest.raises(TooLarge):
        transcoded(whole, LIMITS.model_copy(update={"max_transcoded_mb": 1}))


def test_pieces_are_no_longer_than_a_reply_may_be() -> None:
    data = instance(RedPaletteColorLookupTableData=bytes(5_000_001))
    pieces = list(transcode.transcode(io.BytesIO(data), LIMITS))
    assert max(map(len, pieces)) == transcode.wire.PIECE_BYTES
    assert len(pieces) > 4
