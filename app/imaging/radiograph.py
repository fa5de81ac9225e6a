"""A radiograph as the rest of the service sees it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from app.dicom.evidence.orientation import UPRIGHT, Turn

Source = Literal["dicom", "png", "jpeg"]


@dataclass(frozen=True)
class DicomFacts:
    """Attributes of a DICOM instance that say what it is, not whose. Absent or empty ones are None."""

    sop_class_uid: str | None
    sop_instance_uid: str | None
    study_instance_uid: str | None
    series_instance_uid: str | None
    modality: str | None
    body_part: str | None
    view: str | None
    photometric_interpretation: str | None
    transfer_syntax_uid: str | None


@dataclass(frozen=True)
class Radiograph:
    """A decoded radiograph after the reference preprocessing.

    `pixels` is uint8 (size, size), grey, bright where the beam was absorbed. `sha256` is that of the received bytes,
    `width` and `height` those of the image with square pixels. `warnings` are sentences without patient data. `turn` is
    what the header made of the image as it is stored.
    """

    pixels: np.ndarray
    sha256: str
    source: Source
    width: int
    height: int
    warnings: tuple[str, ...]
    dicom: DicomFacts | None
    turn: Turn = UPRIGHT


class ImageReader(Protocol):
    """Turns uploaded bytes into a radiograph."""

    async def start(self) -> None:
        """Get ready; returns when images can be read."""

    async def read(self, data: bytes | Path) -> Radiograph:
        """Read one image: its bytes, or its file, which is then not read by this process.

        Raises InputError, Overloaded, Unavailable, FatalError, OSError.
        """

    async def preview(self, data: bytes) -> bytes:
        """The image for display, as PGM. Raises InputError and Overloaded."""

    @property
    def alive(self) -> bool:
        """False once images cannot be read any more."""

    async def probe(self) -> None:
        """See that an image could be read. Raises CxrError where not."""

    def close(self) -> None:
        """Stop."""
