"""Bytes of every kind: what is read, what is refused and in which words."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from app.errors import CxrError
from app.imaging import read_radiograph
from app.imaging.codestream import without_trailing_segments
from app.imaging.preview import read_preview
from app.imaging.sniff import sniff
from app.settings import ImagingSettings
from tests.support.radiographs import file_of, radiograph, sequence_item
from tests.support.service import encoded, gradient

LIMITS = ImagingSettings()
GOOD = gradient(200, 160, 16)


def code_of(data: bytes, limits: ImagingSettings = LIMITS) -> str:
    with pytest.raises(CxrError) as caught:
        read_radiograph(data, limits, 256)
    assert "Doe" not in caught.value.detail
    assert "PATIENT-7" not in caught.value.detail
    assert "ACC-9" not in caught.value.detail
    return caught.value.code


def test_a_dicom_says_what_it_is() -> None:
    image = read_radiograph(file_of(radiograph(GOOD)), LIMITS, 256)
    assert (image.source, image.width, image.height) == ("dicom", 200, 160)
    assert image.dicom is not None
    assert (image.dicom.modality, image.dicom.view, image.dicom.body_part) == ("CR", "PA", "CHEST")
    assert image.warnings == ()


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"Modality": "CT"}, "wrong_modality"),
        ({"Modality": "OT", "BodyPartExamined": "HEAD"}, "wrong_modality"),
        ({"BodyPartExamined": "HIP"}, "not_chest"),
        ({"ViewPosition": "LL"}, "not_frontal"),
        ({"ViewPosition": "LATERAL"}, "not_frontal"),
        ({"ViewPosition": "SWIMMERS"}, "not_frontal"),
        ({"ViewPosition": None, "SeriesDescription": "Thorax seitl. Doe"}, "not_frontal"),
        ({"BodyPartExamined": None, "StudyDescription": "XR HIP Doe"}, "not_chest"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1", "Modality": "DX"}, "for_processing"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing"),
        ({"QualityControlImage": "YES"}, "quality_control_image"),
        ({"Modality": "OT", "BodyPartExamined": None, "StudyDescription": "Chest"}, "wrong_modality"),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "unreadable_pixels"),
        (
            {"ViewCodeSequence": Sequence([sequence_item(CodeValue="R-10236", CodeMeaning="left lateral")])},
            "not_frontal",
        ),
        ({"NumberOfFrames": 2}, "multi_frame"),
        ({"PixelData": None}, "no_pixels"),
        ({"Rows": 20000, "Columns": 20000}, "too_many_pixels"),
        ({"Rows": 16, "Columns": 16}, "too_small"),
    ],
)
def test_an_instance_that_is_not_a_usable_frontal_chest_radiograph_is_refused(
    attributes: dict[str, object], code: str
) -> None:
    assert code_of(file_of(radiograph(GOOD, **attributes))) == code


def test_what_it_shows_is_named_before_its_size() -> None:
    assert code_of(file_of(radiograph(GOOD, BodyPartExamined="CSPINE", Rows=16, Columns=16))) == "not_chest"


@pytest.mark.parametrize("keyword", ["BodyPartExamined", "ViewPosition"])
def test_an_instance_that_does_not_say_what_it_shows_is_read_with_a_warning(keyword: str) -> None:
    image = read_radiograph(file_of(radiograph(GOOD, **{keyword: None})), LIMITS, 256)
    assert len(image.warnings) == 1


def test_a_secondary_capture_of_a_chest_is_read() -> None:
    capture = radiograph(GOOD, Modality="OT", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    assert read_radiograph(file_of(capture), LIMITS, 256).pixels.shape == (256, 256)


def test_a_data_set_without_preamble_and_meta_is_read_with_a_warning() -> None:
    buffer = io.BytesIO()
    instance = radiograph(GOOD)
    del instance.file_meta
    instance.save_as(buffer, implicit_vr=True, little_endian=True)
    image = read_radiograph(buffer.getvalue(), LIMITS, 256)
    assert image.source == "dicom"
    assert any("transfer syntax" in warning for warning in image.warnings)


def test_truncated_pixel_data_is_damaged() -> None:
    data = file_of(radiograph(GOOD))
    assert code_of(data[: len(data) // 2]) == "damaged_image"


def test_a_constant_image_is_blank() -> None:
    assert code_of(file_of(radiograph(np.full((100, 100), 7, np.uint16)))) == "blank_image"
    assert code_of(encoded(np.full((100, 100), 7, np.uint8))) == "blank_image"


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04" + b"\0" * 300, b"hello", b"GIF89a" + b"\0" * 100, b"%PDF-1.7" + b" " * 99]
)
def test_other_files_are_not_images(data: bytes) -> None:
    assert code_of(data) == "not_an_image"


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    assert code_of(bomb.getvalue()) == "too_many_pixels"


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_a_truncated_picture_is_damaged(image_format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8)
    data = encoded(noise, image_format)
    assert code_of(data[: len(data) // 2]) == "damaged_image"


def test_sixteen_bit_png_keeps_its_contrast() -> None:
    pixels = read_radiograph(encoded(gradient(200, 200, 16)), LIMITS, 200).pixels
    assert (pixels[0, 0], pixels[-1, -1]) == (0, 255)


@pytest.mark.parametrize(("low", "high", "warned"), [(0, 4095, True), (20, 65_535, True), (0, 65_535, False)])
def test_sixteen_bits_of_another_range_are_stretched_with_a_warning(low: int, high: int, warned: bool) -> None:
    ramp = np.tile(np.linspace(low, high, 256), (256, 1)).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG")
    found = read_radiograph(buffer.getvalue(), LIMITS, 200)
    assert [f"from {low} to {high}" in warning for warning in found.warnings] == [True] * warned


def test_an_exif_orientation_is_followed_with_a_warning() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    buffer = io.BytesIO()
    Image.fromarray(gradient(200, 200)).save(buffer, "JPEG", exif=exif)
    image = read_radiograph(buffer.getvalue(), LIMITS, 200)
    assert image.pixels[0, 0] > image.pixels[-1, -1]
    assert image.warnings


@given(width=st.integers(64, 700), height=st.integers(64, 700), size=st.sampled_from([64, 256]))
@settings(max_examples=30, deadline=None)
def test_any_geometry_becomes_the_models_square_the_right_way_up(width: int, height: int, size: int) -> None:
    pixels = read_radiograph(encoded(gradient(width, height)), LIMITS, size).pixels
    assert pixels.shape == (size, size)
    assert pixels.dtype == np.uint8
    assert pixels[0, 0] <= min(pixels[0, -1], pixels[-1, 0])
    assert pixels[-1, -1] >= max(pixels[0, -1], pixels[-1, 0])


_SEEDS = [file_of(radiograph(GOOD[:80, :80])), encoded(gradient(80, 80)), encoded(gradient(80, 80), "JPEG")]


@given(
    seed=st.sampled_from(_SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=6)), max_size=8),
    keep=st.floats(0.05, 1.0),
)
@settings(max_examples=120, deadline=None)
def test_damaged_bytes_never_raise_anything_but_the_services_errors(
    seed: bytes, edits: list[tuple[int, bytes]], keep: float
) -> None:
    data = bytearray(seed[: max(1, int(len(seed) * keep))])
    for position, value in edits:
        start = position % len(data)
        data[start : start + len(value)] = value
    try:
        read_radiograph(bytes(data), LIMITS, 64)
    except CxrError as error:
        assert error.detail


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_random_bytes_never_raise_anything_but_the_services_errors(data: bytes) -> None:
    try:
        sniff(data)
        read_radiograph(data, LIMITS, 64)
    except CxrError as error:
        assert error.detail


def test_segments_after_the_last_tile_part_are_cut_from_a_codestream() -> None:
    tile = b"\xff\x90\x00\x0a\x00\x00\x00\x00\x00\x10\x00\x01\xff\x93ab"
    stream = b"\xff\x4f" + b"\xff\x51\x00\x04zz" + tile
    assert without_trailing_segments(stream + b"\xff\x64\x00\x04pp\xff\xd9") == stream + b"\xff\xd9"
    assert without_trailing_segments(stream + b"\xff\xd9") is None
    assert without_trailing_segments(b"\xff\x4f\xff") is None
    assert without_trailing_segments(b"nothing") is None


@pytest.mark.parametrize("count", [2, 3, 5])
def test_pixel_data_of_several_images_that_no_header_counts_is_not_taken_for_colour(count: int) -> None:
    instance = radiograph(GOOD)
    instance.PixelData = instance.PixelData * count
    assert code_of(file_of(instance)) == "multi_frame"


def test_a_preview_is_made_of_what_a_report_is_made_of() -> None:
    instance = radiograph(GOOD)
    buffer = io.BytesIO()
    Dataset(instance).save_as(buffer, implicit_vr=True, little_endian=True)
    assert read_radiograph(buffer.getvalue(), LIMITS, 256).warnings
    assert read_preview(buffer.getvalue(), LIMITS).startswith(b"P5")


@pytest.mark.parametrize(("shape", "warned"), [((1316, 390), True), ((200, 600), True), ((430, 350), False)])
def test_a_long_image_of_which_little_is_read_gets_a_warning(shape: tuple[int, int], warned: bool) -> None:
    image = read_radiograph(encoded(gradient(*shape)), LIMITS, 256)
    assert any("was not read" in warning for warning in image.warnings) is warned
