"""The screen's network: residual stages with batch norm, which costs nothing at run time, and a head that knows places.

Which side the heart is on is a question of place: beside the last maps' means, the head sees the maps themselves.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.screen.config import FLAGS, KINDS, TURNS, ScreenConfig


class _Stage(nn.Module):
    """Two 3x3 convolutions with a residual, halving the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, 2, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        kept = F.relu(self.norm1(self.conv1(maps)), inplace=True)
        return F.relu(self.norm2(self.conv2(kept)) + self.skip(maps), inplace=True)


class ScreenNetwork(nn.Module):
    """Grey pixels float (B, side, side) in [-1, 1] -> logits (B, kinds), (B, turns), (B, flags)."""

    def __init__(self, config: ScreenConfig) -> None:
        super().__init__()
        first, *_, last = config.channels
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, 5, 2, 2, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        )
        self.stages = nn.Sequential(*(_Stage(a, b) for a, b in itertools.pairwise(config.channels)))
        self.squeeze = nn.Conv2d(last, config.squeezed, 1)
        self.dropout = nn.Dropout(0.1)
        self.hidden = nn.Linear(last + config.squeezed * config.last_side**2, config.hidden)
        self.outputs = nn.Linear(config.hidden, len(KINDS) + len(TURNS) + len(FLAGS))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of pixels."""
        maps = self.stages(self.stem(pixels[:, None]))
        places = F.relu(self.squeeze(maps)).flatten(1)
        known = self.dropout(torch.cat([maps.mean((2, 3)), places], 1))
        kinds, turns, flags = self.outputs(F.relu(self.hidden(known))).split(
            [len(KINDS), len(TURNS), len(FLAGS)], dim=1
        )
        return kinds, turns, flags


def shrink(pixels: Tensor, side: int) -> Tensor:
    """Pictures uint8 (B, H, W), averaged over areas: float (B, side, side) in [-1, 1]."""
    grey = pixels.float()[:, None]
    if grey.shape[-2:] != (side, side):
        grey = F.interpolate(grey, size=(side, side), mode="area")
    return grey[:, 0] / 127.5 - 1.0
