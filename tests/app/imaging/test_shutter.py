"""What the display shutter hides is black and has no part in the grey range."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from app.imaging.dicom import read_dicom
from app.imaging.preview import read_preview
from app.imaging.reader import read_radiograph
from app.imaging.shutter import open_area
from app.settings import ImagingSettings
from tests.support.radiographs import ENCODED, altered, file_of, radiograph

LIMITS = ImagingSettings()
ROWS, COLUMNS = 120, 160
RECTANGLE = {
    "ShutterShape": "RECTANGULAR",
    "ShutterUpperHorizontalEdge": 21, "ShutterLowerHorizontalEdge": 100,
    "ShutterLeftVerticalEdge": 31, "ShutterRightVerticalEdge": 130,
}  # fmt: skip
CIRCLE = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [60, 80], "RadiusOfCircularShutter": 40}
POLYGON = {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [21, 31, 21, 130, 100, 130, 100, 31]}


def area_of(**attributes: Any) -> tuple[np.ndarray | None, list[str]]:
    dataset, warnings = Dataset(), []
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return open_area(dataset, ROWS, COLUMNS, warnings), warnings


def boundaries(area: np.ndarray) -> tuple[int, int, int, int]:
    """First and last row and column, counted from 1."""
    rows, columns = np.flatnonzero(area.any(axis=1)) + 1, np.flatnonzero(area.any(axis=0)) + 1
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def collimated(kind: type = np.uint16) -> tuple[np.ndarray, np.ndarray]:
    """A picture of 100 to 1100 within borders that are far brighter, and where it is."""
    inside = np.zeros((ROWS, COLUMNS), bool)
    inside[20:100, 30:130] = True
    picture = np.broadcast_to(np.linspace(100, 1100, COLUMNS), inside.shape)
    return np.where(inside, picture, 4000).astype(kind), inside


def read(pixels: np.ndarray, syntax: str = ENCODED[0], **attributes: Any) -> tuple[np.ndarray, list[str]]:
    """The grey image as it lies in the file, and the warnings."""
    bits = {"BitsStored": 12, "HighBit": 11} if pixels.itemsize == 2 and pixels.ndim == 2 else {}
    grey, _, _, warnings = read_dicom(file_of(altered(radiograph(pixels, syntax=syntax, **bits), **attributes)), LIMITS)
    return grey, warnings


@pytest.mark.parametrize("shutter", [RECTANGLE, POLYGON])
def test_rows_and_columns_count_from_one_and_edges_are_seen(shutter: dict[str, Any]) -> None:
    area, warnings = area_of(**shutter)
    assert area is not None
    assert boundaries(area) == (21, 100, 31, 130)
    assert area.sum() == 80 * 100
    assert warnings == []


def test_a_circle_is_as_wide_as_its_radius_says() -> None:
    area, warnings = area_of(**CIRCLE)
    assert area is not None
    assert boundaries(area) == (20, 100, 40, 120)
    assert area.sum() == pytest.approx(np.pi * 40**2, rel=0.02)
    assert warnings == []


def test_a_circle_is_round_in_the_patient_where_pixels_are_not_square() -> None:
    area, _ = area_of(**CIRCLE, PixelSpacing=["0.4", "0.2"])
    assert area is not None
    assert boundaries(area) == (40, 80, 40, 120)


def test_of_several_shapes_what_all_leave_is_left() -> None:
    shapes = {**RECTANGLE, **CIRCLE, "ShutterShape": ["RECTANGULAR", "CIRCULAR"], "ShutterLeftVerticalEdge": 80}
    area, warnings = area_of(**shapes)
    assert area is not None
    assert boundaries(area) == (21, 100, 80, 120)
    assert not any("left out" in one for one in warnings)


def test_a_polygon_may_be_of_many_vertices_and_partly_outside() -> None:
    turn = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    vertices = np.rint(np.stack([60 + 100 * np.sin(turn), 80 + 60 * np.cos(turn)], axis=1)).astype(int)
    area, warnings = area_of(ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=vertices.reshape(-1).tolist())
    assert area is not None
    assert boundaries(area) == (1, 120, 20, 140)
    assert warnings == []


@pytest.mark.parametrize(
    "changed",
    [
        {"ShutterLeftVerticalEdge": 140},
        {"ShutterUpperHorizontalEdge": None},
        {"ShutterShape": "CIRCULAR"},
        {**CIRCLE, "RadiusOfCircularShutter": 0},
        {**CIRCLE, "CenterOfCircularShutter": 60},
        {**POLYGON, "VerticesOfThePolygonalShutter": [1, 1, 50, 50]},
        {**POLYGON, "VerticesOfThePolygonalShutter": [21, 31, 21, 130, 100, 130, 100]},
        {**POLYGON, "VerticesOfThePolygonalShutter": [21, 31, 21, 2_000_000_000, 100, 130]},
        {**POLYGON, "VerticesOfThePolygonalShutter": [1] * 5000},
        {"ShutterShape": "BITMAP"},
        {"ShutterShape": "OVAL"},
        {"ShutterLowerHorizontalEdge": 22},
        {"ShutterLeftVerticalEdge": 400, "ShutterRightVerticalEdge": 500},
        {"ShutterUpperHorizontalEdge": -50, "ShutterLowerHorizontalEdge": -1},
        {**CIRCLE, "CenterOfCircularShutter": [900, 900]},
    ],
)
def test_a_shutter_that_makes_no_sense_is_left_out_with_a_warning(changed: dict[str, Any]) -> None:
    given = {keyword: value for keyword, value in {**RECTANGLE, **changed}.items() if value is not None}
    area, warnings = area_of(**given)
    assert area is None
    assert ["shutter" in one and one.endswith(".") for one in warnings] == [True]


@pytest.mark.parametrize("attributes", [{}, {"ShutterShape": ""}, {**RECTANGLE, "ShutterShape": ""}])
def test_without_a_shape_there_is_no_shutter(attributes: dict[str, Any]) -> None:
    assert area_of(**attributes) == (None, [])


def test_a_shutter_around_the_whole_image_changes_nothing() -> None:
    whole = {**RECTANGLE, "ShutterUpperHorizontalEdge": 0, "ShutterLowerHorizontalEdge": 999,
             "ShutterLeftVerticalEdge": 1, "ShutterRightVerticalEdge": COLUMNS}  # fmt: skip
    assert area_of(**whole) == (None, [])


def test_a_shutter_that_hides_most_of_the_image_is_a_warning() -> None:
    area, warnings = area_of(**{**RECTANGLE, "ShutterRightVerticalEdge": 60})
    assert area is not None
    assert ["hides 88% of the image" in one for one in warnings] == [True]


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize("monochrome", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shutter", [RECTANGLE, POLYGON])
def test_what_is_hidden_is_black_and_has_no_part_in_the_grey_range(
    syntax: str, monochrome: str, shutter: dict[str, Any]
) -> None:
    pixels, inside = collimated()
    grey, warnings = read(
        pixels, syntax, PhotometricInterpretation=monochrome, ShutterPresentationValue=("US", 65_535), **shutter
    )
    assert grey[~inside].max() < 3
    seen = grey[25:95, 35:125]
    assert seen.min() < 20
    assert seen.max() > 235
    assert warnings == []
    assert read(pixels, syntax)[0][25:95, 35:125].max() < 100


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.uint32])
def test_hidden_pixels_take_no_part_beside_padding(kind: type) -> None:
    pixels, inside = collimated(kind)
    pixels[:, 30:50] = 2
    found = read(pixels, PixelPaddingValue=2, **RECTANGLE)[0]
    assert found[~inside].max() < 3
    assert found[25:95, 30:48].max() == 0
    assert found[25:95, 52:56].max() < 30
    assert found.max() > 235


def test_an_image_of_which_a_shutter_leaves_one_grey_is_read_whole() -> None:
    pixels, inside = collimated()
    pixels[inside] = 500
    grey, warnings = read(pixels, **RECTANGLE)
    assert grey.max() == 255
    assert ["one grey" in one for one in warnings] == [True]


def test_colours_have_a_shutter_too() -> None:
    found = read(np.full((ROWS, COLUMNS, 3), 200, np.uint8), **RECTANGLE)[0]
    assert found[:18].max() == 0
    assert found[25:95, 35:125].min() == 200


def test_a_shutter_lies_in_the_image_as_it_is_stored() -> None:
    pixels, _ = collimated()
    instance = altered(
        radiograph(pixels), PatientOrientation=["L", "H"], **{**RECTANGLE, "ShutterLowerHorizontalEdge": 60}
    )
    found = read_radiograph(file_of(instance), LIMITS, ROWS)
    assert found.turn.flipped
    assert found.pixels[:55, 20:100].max() == 0
    assert found.pixels[65:95, 20:100].mean() > 100


@pytest.mark.parametrize("monochrome", ["MONOCHROME1", "MONOCHROME2"])
def test_a_preview_has_the_shutter_and_its_grey_range(monochrome: str) -> None:
    pixels, inside = collimated()
    instance = altered(radiograph(pixels, BitsStored=12, HighBit=11), PhotometricInterpretation=monochrome, **RECTANGLE)
    text = read_preview(file_of(instance), LIMITS)
    head = text.split(b"\n65535\n", 1)[0].decode()
    levels = np.frombuffer(text.split(b"\n65535\n", 1)[1], ">u2").reshape(ROWS, COLUMNS)
    low, high = (float(one) for one in head.split("# range ")[1].split("\n")[0].split())
    assert high < 1200
    assert low < 400
    assert set(levels[~inside]) == {65_535 if monochrome == "MONOCHROME1" else 0}
