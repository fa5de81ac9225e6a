"""Radiographs as codes: tokenised once with a few variations each, and cached beside the image tokenizer's digest."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from models.data.images import Pictures
from models.data.variations import random_variations, vary
from models.vqgan import VQGAN
from models.vqgan.pixels import to_pixels

_GPU_BATCH = 256


def digest(model: VQGAN) -> str:
    """First half of the SHA-256 of what decides codes: the weights of encoder and codebook."""
    total = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if name.startswith(("encoder.", "quant_conv.", "quantize.")):
            total.update(name.encode())
            total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()[:32]


def tokenise(model: VQGAN, images: np.ndarray, folder: Path, *, variants: int = 1, seed: int = 0) -> np.ndarray:
    """Codes of every image, itself first and then `variants - 1` variations of it: uint16 (N, variants, grid).

    Kept in `folder` under the tokenizer's digest, so that codes of other weights are not reused.
    """
    file = folder / f"codes-{digest(model)}-{variants}.npy"
    rows, columns = model.config.grid
    shape = (len(images), variants, rows * columns)
    if file.exists():
        cached: np.ndarray = np.load(file, mmap_mode="r")
        if cached.shape == shape:
            return cached
    device = next(model.parameters()).device
    pictures = Pictures(images, device)
    # One image at a time is fastest on a CPU; a GPU wants batches.
    size = _GPU_BATCH if device.type == "cuda" else 1
    found = np.empty(shape, np.uint16)
    steps = [(variant, start) for variant in range(variants) for start in range(0, len(images), size)]
    with torch.inference_mode():
        for variant, start in track(steps, description="Tokenising"):
            chosen_rows = np.arange(start, min(start + size, len(images)))
            chosen = pictures.take(chosen_rows)
            if variant:
                chosen = vary(chosen, random_variations(len(chosen), np.random.default_rng([seed, start, variant])))
            found[chosen_rows, variant] = model.encode(to_pixels(chosen, model.config.in_channels)).cpu().numpy()
    folder.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial.npy")
    np.save(partial, found)
    partial.replace(file)
    return np.load(file, mmap_mode="r")
