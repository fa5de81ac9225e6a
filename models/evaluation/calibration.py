"""`cxr calibrate`: where the films of a manifest lie by the measures of a bundle's own image tokenizer."""

import numpy as np
import torch
from rich.progress import track

from models.bundle import BundleError
from models.bundle.writer import put_file
from models.data.dataset import DataError
from models.evaluation.subject import Subject
from models.screen.calibration import CALIBRATION_FILE, Calibration
from models.screen.likeness import Likeness


def likenesses(subject: Subject, images: np.ndarray) -> list[Likeness]:
    """The measures of images uint8 (N, size, size)."""
    found = []
    with torch.inference_mode():
        for image in track(images, description="Looking"):
            codes = subject.encode(image[None])
            found.append(Likeness.of(image, subject.decode(codes)[0], codes[0].tolist()))
    return found


def calibrate(subject: Subject) -> Calibration:
    """Bounds of the split's frontal films; raises DataError where it has too few."""
    rows = [int(row) for row in subject.rows if subject.record(int(row)).frontal]
    try:
        return Calibration.from_films(likenesses(subject, np.asarray(subject.images[rows])))
    except ValueError as error:
        raise DataError(str(error)) from error


def write_calibration(subject: Subject, calibration: Calibration) -> None:
    """Put `calibration.json` into the bundle. Raises BundleError where the folder cannot be written."""
    try:
        put_file(subject.bundle.path, CALIBRATION_FILE, calibration.model_dump_json(indent=1) + "\n")
    except OSError as error:
        raise BundleError(f"{subject.bundle.path}: {CALIBRATION_FILE} could not be written: {error}") from error
