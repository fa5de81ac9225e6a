"""Losses on images in [-1, 1]."""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ORIENTATIONS = 4
_GABOR_SPREAD = 1.6
_SQUARE = 8
# Below half a grey level there is nothing to see, and the root's slope has no bound.
_FAINTEST = (0.5 / 127.5) ** 2 / 16


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


@cache
def _gabor_bank() -> Tensor:
    """Quadrature pairs of Gabor filters at a quarter cycle a pixel in four orientations: float (8, 1, 7, 7).

    Spread and spacing as in Jain and Farrokhnia 1991; every filter sums to zero, so brightness does not count.
    """
    y, x = torch.meshgrid(torch.arange(-3.0, 4.0), torch.arange(-3.0, 4.0), indexing="ij")
    window = torch.exp(-(x**2 + y**2) / (2 * _GABOR_SPREAD**2))
    filters = []
    for turn in range(_ORIENTATIONS):
        angle = math.pi * turn / _ORIENTATIONS
        phase = 0.5 * math.pi * (x * math.cos(angle) + y * math.sin(angle))
        for wave in (torch.cos(phase), torch.sin(phase)):
            one = window * wave
            one = one - window * (one.sum() / window.sum())
            filters.append(one / one.abs().sum())
    return torch.stack(filters)[:, None]


def texture_loss(decoded: Tensor, pixels: Tensor) -> Tensor:
    """How far the local amplitudes of fine structure differ, as a share of the real ones; the phase is free.

    Amplitudes are those of Gabor pairs at 1/2, 1/4 and 1/8 of Nyquist's frequency, averaged over squares of eight
    pixels of their scale. L1 alone prefers fog to structure that is slightly misplaced; this term does not.
    """
    bank = _gabor_bank().to(decoded.device)
    parts = []
    # Squares of small numbers: bf16 is too coarse for them.
    with torch.autocast(decoded.device.type, enabled=False):
        both = torch.cat([decoded, pixels]).float().mean(1, keepdim=True)
        for scale in (1, 2, 4):
            responses = F.conv2d(F.pad(F.avg_pool2d(both, scale), (3, 3, 3, 3), mode="reflect"), bank)
            quadrature = responses.square().view(len(both), _ORIENTATIONS, 2, *responses.shape[2:]).sum(2)
            made, real = F.avg_pool2d((quadrature + _FAINTEST).sqrt(), _SQUARE).chunk(2)
            parts.append(F.l1_loss(made, real) / (real.mean() + _FAINTEST**0.5))
    return torch.stack(parts).mean()
