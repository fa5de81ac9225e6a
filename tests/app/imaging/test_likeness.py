"""Whether two files hold one instance: in every transfer syntax, and with every real file that there is."""

import io
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from app.dicom.likeness import Likeness
from app.imaging.likeness import Meaning, is_copy_of, likeness, meaning, meaning_of
from app.settings import ImagingSettings
from tests.app.ingest.test_transfer_syntaxes import _OPTIONS, WRITTEN, written
from tests.support.service import SHARED
from tests.support.studies import damaged, instance, parsed

_LOSSY = (JPEG2000, JPEGLSNearLossless)
_BASE = instance(ImageType=["ORIGINAL", "PRIMARY"])


def meant(data: bytes) -> Meaning:
    """What a file means."""
    return meaning_of(*meaning(data, ImagingSettings()))


def saved(dataset: Dataset, *, implicit: bool = False) -> bytes:
    """A data set as a file."""
    buffer = io.BytesIO()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else dataset.file_meta.TransferSyntaxUID
    dataset.save_as(buffer, implicit_vr=implicit, little_endian=True)
    return buffer.getvalue()


@pytest.mark.parametrize("syntax", WRITTEN, ids=lambda syntax: UID(syntax).keyword)
def test_an_instance_is_the_same_in_every_lossless_encoding_and_a_copy_in_every_lossy_one(syntax: UID) -> None:
    one, other = meant(written(ExplicitVRLittleEndian, _BASE)), meant(written(syntax, _BASE))
    expected = Likeness.LOSSY if syntax in _LOSSY else Likeness.SAME
    assert likeness(other, one) is likeness(one, other) is expected


@pytest.mark.parametrize("syntax", WRITTEN, ids=lambda syntax: UID(syntax).keyword)
def test_another_pixel_or_another_attribute_is_another_state_in_every_encoding(syntax: UID) -> None:
    held = meant(written(ExplicitVRLittleEndian, _BASE))
    renamed = parsed(_BASE)
    renamed.PatientName = "Corrected^Name"
    assert likeness(meant(written(syntax, saved(renamed))), held) is Likeness.CHANGED
    drawn = parsed(_BASE)
    pixels = drawn.pixel_array.copy()
    pixels[: len(pixels) // 3] = 0
    drawn.PixelData = pixels.tobytes()
    expected = Likeness.DOUBTFUL if syntax in _LOSSY else Likeness.CHANGED
    assert likeness(meant(written(syntax, saved(drawn))), held) is expected
    pixels = parsed(_BASE).pixel_array.copy()
    pixels[5, 7] ^= 1
    drawn.PixelData = pixels.tobytes()
    if syntax not in _LOSSY:
        assert likeness(meant(written(syntax, saved(drawn))), held) is Likeness.CHANGED


@pytest.mark.parametrize("syntax", _LOSSY, ids=lambda syntax: UID(syntax).keyword)
def test_a_lossy_copy_that_says_so_is_a_copy_also_with_fewer_bits(syntax: UID) -> None:
    held = meant(_BASE)
    copy = parsed(_BASE)
    copy.PixelData = (copy.pixel_array >> 4).astype(np.uint8).tobytes()
    copy.BitsAllocated = copy.BitsStored = 8
    copy.HighBit = 7
    copy.compress(syntax, generate_instance_uid=False, **_OPTIONS[syntax])
    copy.ImageType, copy.LossyImageCompression = ["DERIVED", "PRIMARY"], "01"
    copy.LossyImageCompressionRatio, copy.LossyImageCompressionMethod = "10", "ISO_15444_1"
    assert likeness(meant(saved(copy)), held) is Likeness.LOSSY
    # Decompressed again: the pixels are those of the lossy copy, and it still says so.
    copy.decompress(generate_instance_uid=False)
    assert likeness(meant(saved(copy)), held) is Likeness.LOSSY
    copy.LossyImageCompression = "00"
    assert likeness(meant(saved(copy)), held) is Likeness.CHANGED


def test_rubbish_above_the_pixel_is_none_of_it_and_what_is_read_as_part_of_it_or_as_overlay_is() -> None:
    with_rubbish = parsed(_BASE)
    with_rubbish.PixelData = (with_rubbish.pixel_array | 0x8000).tobytes()
    assert likeness(meant(saved(with_rubbish)), meant(_BASE)) is Likeness.SAME
    # BitsStored says 10, and the pixels have 12: they are read, and compared, whole.
    short, other = parsed(_BASE), parsed(_BASE)
    for one in (short, other):
        one.BitsStored, one.HighBit = 10, 9
    pixels = other.pixel_array.copy()
    pixels[40:80, 40:80] ^= 0x0800
    other.PixelData = pixels.tobytes()
    assert likeness(meant(saved(other)), meant(saved(short))) is Likeness.CHANGED
    overlaid = parsed(_BASE)
    overlaid.add_new(0x60000102, "US", 15)
    one = meant(saved(overlaid))
    overlaid.PixelData = (overlaid.pixel_array | 0x8000).tobytes()
    assert likeness(meant(saved(overlaid)), one) is Likeness.CHANGED


def test_a_character_set_that_was_put_right_tells_by_what_was_sent() -> None:
    held, other = parsed(_BASE), parsed(_BASE)
    held.SpecificCharacterSet, other.SpecificCharacterSet = "ISO_IR 192", "ISO_IR 100"
    held.PatientName = "Müller^Jörg"
    data, sent = saved(held), saved(held).replace(b"ISO_IR 192", b"ISO_IR 100")
    assert likeness(meant(sent), meant(data)) is Likeness.CHANGED
    assert likeness(meant(sent), meant(data), put_right=True) is Likeness.SAME
    held.PatientName = "Müller^Jens"
    assert likeness(meant(saved(held)), meant(sent), put_right=True) is Likeness.CHANGED


@pytest.mark.parametrize("syntax", WRITTEN, ids=lambda syntax: UID(syntax).keyword)
def test_an_older_state_is_known_by_its_digests_in_every_encoding(syntax: UID) -> None:
    state = Meaning(meant(_BASE).facts)
    assert is_copy_of(meant(written(syntax, _BASE)), state)
    other = parsed(_BASE)
    other.AccessionNumber = "OTHER"
    assert not is_copy_of(meant(written(syntax, saved(other))), state)


def test_what_cannot_be_read_takes_no_place_and_what_can_takes_the_place_of_what_cannot() -> None:
    readable, unreadable = meant(_BASE), meant(damaged())
    assert unreadable.facts.pixels is None
    assert likeness(unreadable, readable) is Likeness.UNREADABLE
    assert likeness(None, readable) is Likeness.UNREADABLE
    assert likeness(readable, unreadable) is Likeness.CHANGED
    assert likeness(readable, None) is Likeness.CHANGED
    assert likeness(unreadable, unreadable) is Likeness.SAME


_COLOUR = "PhotometricInterpretation"
_FOLDER = SHARED / "dicom"
_FILES = [path for path in sorted(_FOLDER.rglob("*")) if path.is_file() and path.suffix != ".csv"]


@pytest.mark.skipif(not _FILES, reason="shared/data is absent")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("MR_small.dcm", "MR_small_RLE.dcm"),
        ("MR_small.dcm", "MR_small_jp2klossless.dcm"),
        ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm"),
        ("MR_small.dcm", "MR_small_implicit.dcm"),
        ("MR_small.dcm", "MR_small_bigendian.dcm"),
        ("MR_small.dcm", "MR_small_expb.dcm"),
        ("OBXXXX1A.dcm", "OBXXXX1A_rle.dcm"),
        ("OBXXXX1A_2frame.dcm", "OBXXXX1A_rle_2frame.dcm"),
        ("SC_rgb_32bit_2frame.dcm", "SC_rgb_rle_32bit_2frame.dcm"),
        ("SC_rgb_16bit_2frame.dcm", "SC_rgb_rle_16bit_2frame.dcm"),
        ("color-pl.dcm", "color-px.dcm"),
    ],
)
def test_pixels_that_other_toolkits_have_encoded_are_the_same(one: str, other: str) -> None:
    found = [meant((_FOLDER / "pydicom" / name).read_bytes()) for name in (one, other)]
    assert found[0].facts.pixels == found[1].facts.pixels is not None


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_a_real_file_means_the_same_once_it_is_encoded_anew(path: Path) -> None:
    data = path.read_bytes()
    try:
        dataset = parsed_leniently(data)
        copies = [encoded_anew(dataset, syntax) for syntax in (ExplicitVRLittleEndian, RLELossless, JPEGLSLossless)]
    except Exception as error:
        pytest.skip(f"pydicom cannot write it: {type(error).__name__}")
    if dataset.get("PlanarConfiguration") or dataset.get("BitsAllocated") == 1 or "422" in dataset.get(_COLOUR, ""):
        pytest.skip("pydicom writes other pixels")
    held = meant(data)
    for other in filter(None, copies):
        found = likeness(meant(other), held)
        assert found is (Likeness.LOSSY if held.facts.lossy and found is Likeness.LOSSY else Likeness.SAME)


def parsed_leniently(data: bytes) -> Dataset:
    """A file's data set."""
    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    assert dataset.file_meta.TransferSyntaxUID
    return dataset


def encoded_anew(dataset: Dataset, syntax: UID) -> bytes | None:
    """It in another transfer syntax; None where it cannot be put into that one."""
    copy = parsed_leniently(saved_as_it_is(dataset))
    if copy.file_meta.TransferSyntaxUID.is_compressed and "PixelData" in copy:
        copy.decompress(generate_instance_uid=False, as_rgb=False)
    if syntax == ExplicitVRLittleEndian:
        copy.file_meta.TransferSyntaxUID = syntax
        return saved(copy) if copy.original_encoding[1] else None
    try:
        copy.compress(syntax, generate_instance_uid=False)
    except Exception:
        return None
    return saved(copy)


def saved_as_it_is(dataset: Dataset) -> bytes:
    """A data set in the encoding that it was read in."""
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()
