"""Nearest-neighbour vector quantisation."""

from typing import cast

import torch
from torch import Tensor, nn


class Quantizer(nn.Module):
    """A codebook of `n_embed` vectors of `embed_dim` numbers."""

    def __init__(self, n_embed: int, embed_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_embed, embed_dim)
        nn.init.uniform_(self.embedding.weight, -1.0 / n_embed, 1.0 / n_embed)

    def nearest(self, vectors: Tensor) -> Tensor:
        """Index of the codebook entry with the least squared L2 distance, in fp32: (N, D) -> int64 (N,)."""
        with torch.autocast(vectors.device.type, enabled=False):
            x, codebook = vectors.float(), self.embedding.weight.float()
            distance = x.square().sum(1, keepdim=True) + codebook.square().sum(1) - 2.0 * (x @ codebook.t())
            return distance.argmin(1)

    def entries(self, codes: Tensor) -> Tensor:
        """Codebook vectors of `codes`: int64 (...) -> (..., D)."""
        return cast(Tensor, self.embedding(codes))
