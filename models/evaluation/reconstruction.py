"""How well the image tokenizer keeps a radiograph."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from models.evaluation.subject import Subject
from models.features import load_features
from models.vqgan.pixels import to_pixels

_BATCH = 16


def psnr(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of 8-bit images in dB, one per image: (N, H, W) twice -> (N,)."""
    errors = (images.astype(np.float32) - others.astype(np.float32)) ** 2
    return np.asarray(10.0 * np.log10(255.0**2 / np.maximum(errors.mean((1, 2)), 1e-6)))


def ssim(images: np.ndarray, others: np.ndarray) -> float:
    """Mean structural similarity of 8-bit images (Wang et al. 2004): (N, H, W) twice."""
    values = [
        structural_similarity_index_measure(b, a, data_range=2.0, reduction="none")
        for a, b in zip(_batches(images), _batches(others), strict=True)
    ]
    return float(torch.cat([value.reshape(-1) for value in values]).mean())


def codebook_use(codes: np.ndarray, codebook_size: int) -> float:
    """Share of the codebook that occurs in `codes`."""
    return len(np.unique(codes)) / codebook_size


def _batches(images: np.ndarray, channels: int = 1) -> Iterator[Tensor]:
    for start in range(0, len(images), _BATCH):
        yield to_pixels(images[start : start + _BATCH], channels)


class _Extractor(nn.Module):
    """Features with the attribute `num_features`, which torchmetrics asks for."""

    def __init__(self, features: nn.Module, side: int) -> None:
        super().__init__()
        self.features = features
        with torch.inference_mode():
            self.num_features = features(torch.zeros(1, 1, side, side)).shape[-1]

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.features(pixels)
        return features


def distances(real: np.ndarray, made: np.ndarray, reference: str) -> dict[str, Any]:
    """Frechet and kernel distances between two sets of 8-bit images (N, H, W) on the features of `reference`."""
    extractor = _Extractor(load_features(reference), real.shape[-1])
    size = min(len(real), len(made))
    shape = (1, *real.shape[1:])
    fid = FrechetInceptionDistance(extractor, input_img_size=shape)
    with warnings.catch_warnings():
        # A few hundred small feature vectors fit in memory.
        warnings.filterwarnings("ignore", message="Metric `Kernel Inception Distance`")
        kid = KernelInceptionDistance(extractor, subsets=20, subset_size=max(2, size // 2))
    torch.manual_seed(0)
    for images, is_real in ((real, True), (made, False)):
        for batch in _batches(images):
            fid.update(batch, real=is_real)
            kid.update(batch, real=is_real)
    mean, deviation = kid.compute()
    return {
        "features": reference.partition(":")[0],
        "fid": round(float(fid.compute()), 4),
        "kid": round(float(mean), 5),
        "kid_deviation": round(float(deviation), 5),
        "real": len(real),
        "made": len(made),
    }


def evaluate_images(subject: Subject, features: Sequence[str] = ()) -> dict[str, Any]:
    """Reconstruction of the split: PSNR, SSIM, codebook use, and distances on each of `features`."""
    codes = subject.codes[subject.rows]
    real, made = np.asarray(subject.images[subject.rows]), subject.decode(codes)
    ratios = psnr(real, made)
    return {
        **subject.about(),
        "psnr_db": round(float(ratios.mean()), 2),
        "psnr_db_tenth_percentile": round(float(np.percentile(ratios, 10)), 2),
        "ssim": round(ssim(real, made), 4),
        "codebook_use": round(codebook_use(codes, subject.vqgan.config.n_embed), 4),
        "distances": [distances(real, made, reference) for reference in features],
    }
