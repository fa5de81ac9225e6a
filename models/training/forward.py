"""The image tokenizer's forward pass while it is trained; gradients pass the codebook straight (van den Oord 2017)."""

import torch
from torch import Tensor, nn

from models.vqgan import VQGAN


class StraightThroughPass(nn.Module):
    """The whole forward pass as one module, which is what data-parallel wrappers need."""

    def __init__(self, model: VQGAN) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor, frozen: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Decoded pixels, the encoder's features and their codebook entries (B, D, h, w), codes (N,)."""
        with torch.set_grad_enabled(not frozen and torch.is_grad_enabled()):
            features = self.model.embed(pixels).float()
            rows = features.permute(0, 2, 3, 1)
            codes = self.model.quantize.nearest(rows.detach().reshape(-1, features.shape[1]))
            entries = self.model.quantize.entries(codes).view(rows.shape).permute(0, 3, 1, 2)
        return self.model.reconstruct(features + (entries - features).detach()), features, entries, codes
