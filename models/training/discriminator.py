"""The patch discriminator of VQ-GAN training (Isola et al. 2017; Esser et al. 2021) and its losses."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LARGEST_WEIGHT = 1e4


class PatchDiscriminator(nn.Module):
    """One logit for every patch of 34 or more pixels: (B, C, H, W) -> (B, 1, H/8 - 2, W/8 - 2)."""

    def __init__(self, image_channels: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(image_channels, channels, 4, 2, 1), nn.LeakyReLU(0.2)]
        for multiple in (1, 2):
            inputs, outputs = channels * multiple, channels * multiple * 2
            layers += [
                nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False),
                # Unlike batch statistics, the same on one process as on many.
                nn.GroupNorm(8, outputs),
                nn.LeakyReLU(0.2),
            ]
        layers += [nn.Conv2d(channels * 4, channels * 4, 4, 1, 1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels * 4, 1, 4, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits, high for real."""
        logits: Tensor = self.layers(pixels)
        return logits


def hinge_loss(real: Tensor, made: Tensor) -> Tensor:
    """The discriminator's loss on its logits of real and of decoded images."""
    return 0.5 * (F.relu(1.0 - real).mean() + F.relu(1.0 + made).mean())


def balance(reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor) -> Tensor:
    """The weight that gives both losses equal gradients at the decoder's last layer (Esser et al. 2021, eq. 7)."""
    (kept,) = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)
    (fooled,) = torch.autograd.grad(adversarial, last_layer, retain_graph=True)
    return (kept.norm() / (fooled.norm() + 1e-4)).clamp(0.0, _LARGEST_WEIGHT).detach()
