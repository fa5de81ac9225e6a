"""Slight variations of radiographs, as another technician might have taken them; in batches, on any device."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_LEAST_SIDE = 0.86
_CONTRAST = 0.12
_BRIGHTNESS = 10.0


def random_variations(count: int, rng: np.random.Generator) -> np.ndarray:
    """How `count` images are varied: float32 (N, 5) of kept side, left and top as shares, contrast, grey levels."""
    kept = rng.uniform(_LEAST_SIDE, 1.0, count)
    left, top = rng.uniform(0.0, 1.0, (2, count)) * (1.0 - kept)
    contrast = 1.0 + rng.uniform(-_CONTRAST, _CONTRAST, count)
    brightness = rng.uniform(-_BRIGHTNESS, _BRIGHTNESS, count)
    return np.stack([kept, left, top, contrast, brightness], 1).astype(np.float32)


def vary(images: Tensor, variations: np.ndarray) -> Tensor:
    """Crops of at least 86 % of the side, at their former size, with other brightness and contrast.

    `images` are uint8 (N, H, W), `variations` as `random_variations` gives them; uint8 (N, H, W). Images are not
    mirrored: the heart is on the left.
    """
    kept, left, top, contrast, brightness = torch.from_numpy(variations).to(images.device).unbind(1)
    # Affine maps take output to input coordinates, both from -1 to 1.
    zero = torch.zeros_like(kept)
    across = torch.stack([kept, zero, 2 * left + kept - 1], 1)
    down = torch.stack([zero, kept, 2 * top + kept - 1], 1)
    pixels = images[:, None].float()
    places = F.affine_grid(torch.stack([across, down], 1), list(pixels.shape), align_corners=False)
    crops = F.grid_sample(pixels, places, mode="bicubic", padding_mode="border", align_corners=False)[:, 0]
    moved = (crops - 127.5) * contrast[:, None, None] + 127.5 + brightness[:, None, None]
    return moved.round().clamp(0, 255).to(torch.uint8)
