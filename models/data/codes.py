"""Radiographs as codes: tokenised once with a few variations each, and cached beside the image tokenizer's digest."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import track

from models.vqgan import VQGAN
from models.vqgan.pixels import to_pixels

_LEAST_SIDE = 0.86
_CONTRAST = 0.12
_BRIGHTNESS = 10.0
_BATCH = 32


def varied(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A crop of at least 86 % of the side, at its former size, with other brightness and contrast: uint8 (H, W).

    Images are not mirrored: the heart is on the left.
    """
    side = image.shape[0]
    kept = side * rng.uniform(_LEAST_SIDE, 1.0)
    left, top = rng.uniform(0.0, side - kept, 2)
    crop = Image.fromarray(image).resize(
        (side, side), Image.Resampling.BICUBIC, box=(left, top, left + kept, top + kept)
    )
    contrast, brightness = 1.0 + rng.uniform(-_CONTRAST, _CONTRAST), rng.uniform(-_BRIGHTNESS, _BRIGHTNESS)
    moved = (np.asarray(crop, np.float32) - 127.5) * contrast + 127.5 + brightness
    return np.asarray(np.clip(np.round(moved), 0, 255), np.uint8)


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
    # One image at a time is fastest on a CPU; a GPU wants batches.
    batch = _BATCH if device.type == "cuda" else 1
    found = np.empty(shape, np.uint16)
    flat = found.reshape(-1, shape[-1])
    with torch.inference_mode():
        for start in track(range(0, len(flat), batch), description="Tokenising"):
            chosen = [divmod(index, variants) for index in range(start, min(start + batch, len(flat)))]
            pictures = [
                images[row] if variant == 0 else varied(images[row], np.random.default_rng([seed, row, variant]))
                for row, variant in chosen
            ]
            codes = model.encode(to_pixels(np.stack(pictures), model.config.in_channels).to(device))
            flat[start : start + batch] = codes.cpu().numpy()
    partial = file.with_suffix(".partial.npy")
    np.save(partial, found)
    partial.replace(file)
    return np.load(file, mmap_mode="r")
