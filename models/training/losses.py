"""Losses on images in [-1, 1]."""

import torch
from torch import Tensor
from torch.nn import functional as F


def reconstruction_loss(decoded: Tensor, pixels: Tensor) -> Tensor:
    """L1 plus squared error: L1 keeps edges, the square keeps the PSNR honest."""
    return F.l1_loss(decoded, pixels) + F.mse_loss(decoded, pixels)


def edges(pixels: Tensor) -> Tensor:
    """Horizontal and vertical differences at full, half and quarter resolution, flattened: (B, N).

    A training-free stand-in for a perceptual term: it weighs ribs and vessel edges, which L1 alone blurs.
    """
    parts = []
    for scale in (1, 2, 4):
        small = F.avg_pool2d(pixels, scale) if scale > 1 else pixels
        parts.append((small[..., :, 1:] - small[..., :, :-1]).flatten(1))
        parts.append((small[..., 1:, :] - small[..., :-1, :]).flatten(1))
    return torch.cat(parts, 1)
