"""How well the image tokenizer keeps a radiograph."""

import numpy as np
import torch

from models.vqgan import VQGAN
from models.vqgan.pixels import to_grey


def reconstruct(model: VQGAN, codes: np.ndarray) -> np.ndarray:
    """Decode codes (N, grid) one by one -> uint8 (N, size, size)."""
    with torch.inference_mode():
        return np.concatenate([to_grey(model.decode(torch.from_numpy(row[None]))) for row in codes])


def psnr(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of 8-bit images in dB, one per image: (N, H, W) twice -> (N,)."""
    errors = (images.astype(np.float32) - others.astype(np.float32)) ** 2
    return np.asarray(10.0 * np.log10(255.0**2 / np.maximum(errors.mean((1, 2)), 1e-6)))


def codebook_use(codes: np.ndarray, codebook_size: int) -> float:
    """Share of the codebook that occurs in `codes`."""
    return len(np.unique(codes)) / codebook_size
