"""A small chest radiograph classifier: judge of drawings, and features for the information-preserving loss."""

import itertools
from pathlib import Path
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional as F

from models.storage import read_config, read_weights, save_model

_GROUPS = 8


class ClassifierConfig(BaseModel):
    """Labels in the order of the outputs, the side that images are averaged down to, channels by stage."""

    model_config = ConfigDict(frozen=True)

    labels: tuple[str, ...]
    side: int = 128
    channels: tuple[int, ...] = (24, 48, 96, 160)


class _Block(nn.Module):
    """Two 3x3 convolutions with a residual, halving the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.norm1 = nn.GroupNorm(_GROUPS, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.GroupNorm(_GROUPS, outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, 2, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        kept = F.relu(self.norm1(self.conv1(maps)))
        return F.relu(self.norm2(self.conv2(kept)) + self.skip(maps))


class Classifier(nn.Module):
    """Called, it gives features (B, D); `logits` gives one value a label; both of pixels (B, C, H, W) in [-1, 1]."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        first, *others = config.channels
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, 5, 2, 2, bias=False), nn.GroupNorm(_GROUPS, first), nn.ReLU(inplace=True)
        )
        widths = [first, *others]
        self.blocks = nn.ModuleList(_Block(a, b) for a, b in itertools.pairwise(widths))
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(widths[-1], len(config.labels))

    def feature_maps(self, pixels: Tensor) -> list[Tensor]:
        """Maps after every stage, fine to coarse."""
        grey = pixels.mean(1, keepdim=True)
        if grey.shape[-1] != self.config.side:
            grey = F.interpolate(grey, size=(self.config.side, self.config.side), mode="area")
        maps = [self.stem(grey)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def forward(self, pixels: Tensor) -> Tensor:
        """Features: the last maps' means, (B, D)."""
        return self.feature_maps(pixels)[-1].mean((2, 3))

    def logits(self, pixels: Tensor) -> Tensor:
        """One logit a label: (B, labels)."""
        found: Tensor = self.head(self.dropout(self(pixels)))
        return found

    def save(self, folder: Path) -> None:
        """Write `config.json` and `model.safetensors` to `folder`."""
        save_model(self, self.config, folder)

    @classmethod
    def load(cls, folder: Path, device: str | torch.device = "cpu") -> Self:
        """Read what `save` wrote. Raises OSError, pydantic.ValidationError, RuntimeError."""
        model = cls(ClassifierConfig.model_validate_json(read_config(folder)))
        model.load_state_dict(read_weights(folder))
        return model.to(device).eval()
