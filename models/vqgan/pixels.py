"""8-bit grey images to the network's pixels and back."""

import numpy as np
import torch
from torch import Tensor


def to_pixels(images: np.ndarray | Tensor, channels: int) -> Tensor:
    """Grey images uint8 (B, H, W) -> float (B, channels, H, W) in [-1, 1]; grey is repeated over RGB.

    A tensor's pixels stay on its device.
    """
    found = images if isinstance(images, Tensor) else torch.from_numpy(np.array(images))
    grey = found.float().unsqueeze(1) / 127.5 - 1.0
    return grey.expand(-1, channels, -1, -1).contiguous()


def to_grey(pixels: Tensor) -> np.ndarray:
    """Decoded pixels float (B, C, H, W), clipped to [-1, 1] -> uint8 (B, H, W); RGB is averaged."""
    grey = pixels.float().clamp(-1.0, 1.0).mean(1)
    return ((grey + 1.0) * 127.5).round().to(torch.uint8).cpu().numpy()
