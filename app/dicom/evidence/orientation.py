"""How an image lies: Patient Orientation (0020,0020), the directions of rows and columns (PS3.3 C.7.6.1.1.1)."""

from dataclasses import dataclass
from typing import Literal

from pydicom.dataset import Dataset

from app.dicom.values import texts_of

Plane = Literal["frontal", "sagittal", "axial", "unstated", "nonsense"]

KEYWORDS = ("PatientOrientation",)
_AXES = {"L": 0, "R": 0, "A": 1, "P": 1, "H": 2, "F": 2}
_PLANES: dict[frozenset[int], Plane] = {
    frozenset({0, 2}): "frontal",
    frozenset({1, 2}): "sagittal",
    frozenset({0, 1}): "axial",
}
_WORDS = {
    (False, False, False): "",
    (False, True, True): "turned by 180 degrees",
    (True, True, False): "turned by 90 degrees clockwise",
    (True, False, True): "turned by 90 degrees counterclockwise",
    (False, True, False): "mirrored",
    (False, False, True): "turned by 180 degrees and mirrored",
    (True, False, False): "turned by 90 degrees clockwise and mirrored",
    (True, True, True): "turned by 90 degrees counterclockwise and mirrored",
}


@dataclass(frozen=True)
class Turn:
    r"""What brings an image to L\F, in this order: rows and columns are exchanged, left and right, top and bottom."""

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    @property
    def words(self) -> str:
        """What it does to the image, empty where it leaves it as it is."""
        return _WORDS[self.transposed, self.mirrored, self.flipped]

    @property
    def warning(self) -> str:
        """A sentence on what was done, empty where nothing was."""
        return f"The image was {self.words}, as its PatientOrientation says." if self.words else ""


UPRIGHT = Turn()


@dataclass(frozen=True)
class Orientation:
    """The plane of the image, and for a frontal one the turn that brings it upright."""

    plane: Plane
    turn: Turn = UPRIGHT


def orientation_of(dataset: Dataset) -> Orientation:
    """What PatientOrientation says; further letters of a direction (`LH`) tell how oblique it is and turn nothing."""
    values = [value.upper() for value in texts_of(dataset, "PatientOrientation")]
    if not values:
        return Orientation("unstated")
    if len(values) != 2 or not all(value and set(value) <= set(_AXES) for value in values):
        return Orientation("nonsense")
    rows, columns = (value[0] for value in values)
    plane = _PLANES.get(frozenset({_AXES[rows], _AXES[columns]}), "nonsense")
    if plane != "frontal":
        return Orientation(plane)
    transposed = rows in "HF"
    if transposed:
        rows, columns = columns, rows
    return Orientation("frontal", Turn(transposed, rows == "R", columns == "H"))
