"""Losses on images in [-1, 1]."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def reconstruction_loss(decoded: Tensor, pixels: Tensor) -> Tensor:
    """L1 plus squared error: L1 keeps edges, the square keeps the PSNR honest."""
    return F.l1_loss(decoded, pixels) + F.mse_loss(decoded, pixels)


def edges(pixels: Tensor) -> Tensor:
    """Horizontal and vertical differences at full, half and quarter resolution, flattened: (B, N).

    Weighs ribs and vessel edges, which L1 alone blurs, on crops that no classifier was trained on.
    """
    parts = []
    for scale in (1, 2, 4):
        small = F.avg_pool2d(pixels, scale) if scale > 1 else pixels
        parts.append((small[..., :, 1:] - small[..., :, :-1]).flatten(1))
        parts.append((small[..., 1:, :] - small[..., :-1, :]).flatten(1))
    return torch.cat(parts, 1)


def preservation_losses(features: nn.Module, decoded: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """The clinical-information-preserving loss and the perceptual term, both of a frozen network's activations.

    The first is the mean squared difference of the feature vectors (LLM-CXR, Lee et al. 2024, section 3.1). The second
    is the L1 difference of the maps below, channels scaled to unit length (after LPIPS, Zhang et al. 2018); zero for a
    module without `feature_maps`.
    """
    maps_of: Callable[[Tensor], list[Tensor]] | None = getattr(features, "feature_maps", None)
    if maps_of is None:
        return F.mse_loss(features(decoded), features(pixels)), decoded.new_zeros(())
    with torch.no_grad():
        wanted = maps_of(pixels)
    found = maps_of(decoded)
    clinical = F.mse_loss(found[-1].mean((2, 3)), wanted[-1].mean((2, 3)))
    perceptual = torch.stack(
        [F.l1_loss(F.normalize(a, dim=1), F.normalize(b, dim=1)) for a, b in zip(found, wanted, strict=True)]
    ).mean()
    return clinical, perceptual
