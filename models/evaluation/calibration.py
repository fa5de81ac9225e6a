"""`cxr calibrate`: where the films of a manifest lie by the measures of a bundle's own models."""

import numpy as np
import torch
from rich.progress import track

from models.bundle import BundleError
from models.bundle.manifest import weights_digest
from models.bundle.writer import put_file
from models.data.dataset import DataError
from models.evaluation.subject import Subject
from models.screen.calibration import CALIBRATION_FILE, Calibration
from models.screen.likeness import Likeness

_BATCH = 16


@torch.inference_mode()
def likenesses(subject: Subject, images: np.ndarray) -> list[Likeness]:
    """The measures of images uint8 (N, size, size)."""
    found = []
    for begin in track(range(0, len(images), _BATCH), description="Looking"):
        batch = images[begin : begin + _BATCH]
        codes = subject.encode(batch)
        likely = log_likelihoods(subject, codes)
        for image, made, row, value in zip(batch, subject.decode(codes), codes, likely, strict=True):
            found.append(Likeness.of(image, made, row.tolist(), float(value)))
    return found


@torch.inference_mode()
def log_likelihoods(subject: Subject, codes: np.ndarray) -> np.ndarray:
    """The mean logarithm of the probability of each image's codes (N, grid) behind the prompt of a report, (N,)."""
    head, offset = subject.bundle.prompts.before_image(), subject.bundle.vocabulary.image_offset
    image = torch.from_numpy(codes.astype(np.int64)).to(subject.device) + offset
    prompt = torch.tensor(head, device=subject.device).expand(len(image), -1)
    logits = subject.llm(torch.cat([prompt, image], 1)).logits[:, len(head) - 1 : -1]
    likely = logits.float().log_softmax(-1).gather(-1, image[..., None])[..., 0]
    found: np.ndarray = likely.mean(1).cpu().numpy()
    return found


def calibrate(subject: Subject) -> Calibration:
    """What is usual of the split's frontal films; raises DataError where it has too few."""
    films = np.asarray(subject.images[[int(row) for row in subject.rows if subject.record(int(row)).frontal]])
    mirrored = [film.log_likelihood for film in likenesses(subject, np.ascontiguousarray(films[:, :, ::-1]))]
    try:
        weights = weights_digest(subject.bundle.manifest)
        return Calibration.from_films(films, likenesses(subject, films), mirrored, weights)
    except ValueError as error:
        raise DataError(str(error)) from error


def write_calibration(subject: Subject, calibration: Calibration) -> None:
    """Put `calibration.json` into the bundle. Raises BundleError where the folder cannot be written."""
    try:
        put_file(subject.bundle.path, CALIBRATION_FILE, calibration.model_dump_json() + "\n")
    except OSError as error:
        raise BundleError(f"{subject.bundle.path}: {CALIBRATION_FILE} could not be written: {error}") from error
