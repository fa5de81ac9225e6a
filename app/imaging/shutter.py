"""The display shutter: what of an image is to be seen (PS3.3 C.7.6.11).

Collimators (C.8.7.3) are not used: they say where the beam was limited, not what is to be left out.
"""

import numpy as np
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from app.dicom.values import texts_of
from app.imaging.upright import pixel_sides

# Less than this share of the image shows no chest: such a shutter is a mistake.
_LEAST_OPEN = 0.05
_LITTLE_OPEN = 0.25
# Beyond these a polygon is no shutter.
_MOST_VERTICES, _FARTHEST = 1024, 131_072

_DAMAGED = "The display shutter in the file is incomplete or damaged; it was left out."
_OTHER = "The file has a display shutter of a kind that is not applied; the whole image was read."
_CLOSED = "The display shutter in the file leaves next to nothing of the image; it was left out."
_HIDDEN = "The display shutter in the file hides {:.0%} of the image."


def open_area(dataset: Dataset, rows: int, columns: int, warnings: list[str]) -> np.ndarray | None:
    """Which pixels (rows, columns), as they are stored, the shutter leaves; None where it leaves all or is none.

    Appends to `warnings`. Where several shapes are stated, what all of them leave is left.
    """
    area: np.ndarray | None = None
    shapes = {text.upper() for text in texts_of(dataset, "ShutterShape") if text}
    for shape in sorted(shapes):
        if shape not in _SHAPES:  # BITMAP (C.7.6.15) is a matter of presentation states
            warnings.append(_OTHER)
            continue
        found = _SHAPES[shape](dataset, rows, columns)
        if found is None:
            warnings.append(_DAMAGED)
            continue
        area = found if area is None else area & found
    if area is None or area.all():
        return None
    share = float(area.mean())
    if share < _LEAST_OPEN:
        warnings.append(_CLOSED)
        return None
    if share < _LITTLE_OPEN:
        warnings.append(_HIDDEN.format(1.0 - share))
    return area


def _rectangle(dataset: Dataset, rows: int, columns: int) -> np.ndarray | None:
    """Rows and columns count from 1, and those on which the edges lie are seen."""
    keywords = ("ShutterUpperHorizontalEdge", "ShutterLowerHorizontalEdge",
                "ShutterLeftVerticalEdge", "ShutterRightVerticalEdge")  # fmt: skip
    edges = [_integers(dataset, keyword, 1) for keyword in keywords]
    if any(len(edge) != 1 for edge in edges):
        return None
    upper, lower, left, right = (edge[0] for edge in edges)
    if upper > lower or left > right:
        return None
    area = np.zeros((rows, columns), bool)
    area[max(upper - 1, 0) : max(lower, 0), max(left - 1, 0) : max(right, 0)] = True
    return area


def _circle(dataset: Dataset, rows: int, columns: int) -> np.ndarray | None:
    """The radius is in pixels along a row: where pixels are not square, the circle is round in the patient."""
    centre, radius = _integers(dataset, "CenterOfCircularShutter", 2), _integers(dataset, "RadiusOfCircularShutter", 1)
    if len(centre) != 2 or len(radius) != 1 or radius[0] <= 0:
        return None
    high, wide = pixel_sides(dataset)
    down = (np.arange(1, rows + 1, dtype=np.float64) - centre[0]) * high / wide
    across = np.abs(np.arange(1, columns + 1, dtype=np.float64) - centre[1])
    square = float(radius[0]) ** 2 - down**2
    reach = np.where(square >= 0.0, np.sqrt(np.maximum(square, 0.0)), -1.0)
    return across[None, :] <= reach[:, None]


def _polygon(dataset: Dataset, rows: int, columns: int) -> np.ndarray | None:
    """Vertices are row and column in turn; the last is joined to the first."""
    numbers = _integers(dataset, "VerticesOfThePolygonalShutter", 2 * _MOST_VERTICES)
    if len(numbers) < 6 or len(numbers) % 2 or max(map(abs, numbers)) > _FARTHEST:
        return None
    image = Image.new("L", (columns, rows))
    vertices = [(column - 1, row - 1) for row, column in zip(numbers[::2], numbers[1::2], strict=True)]
    ImageDraw.Draw(image).polygon(vertices, fill=1)
    return np.asarray(image).astype(bool)


_SHAPES = {"RECTANGULAR": _rectangle, "CIRCULAR": _circle, "POLYGONAL": _polygon}


def _integers(dataset: Dataset, keyword: str, most: int) -> list[int]:
    """All values; none where there are more than `most` or one is no number."""
    try:
        value = dataset.get(keyword)
        values = [value] if isinstance(value, str | int | float) else list(value or [])
        return [int(float(one)) for one in values] if len(values) <= most else []
    except Exception:  # a value that its VR cannot hold: pydicom raises many kinds
        return []
