"""Codebook learning by exponential moving averages, with dead-code revival.

Each entry follows the mean of the vectors assigned to it (van den Oord et al. 2017, appendix A.1). Entries whose
moving count falls below a threshold are replaced by vectors of the current batch.
"""

import torch
from torch import Tensor

from models.vqgan.quantizer import Quantizer


class CodebookAverage:
    """Moving averages beside a `Quantizer`, which keeps only the resulting codebook."""

    def __init__(self, quantizer: Quantizer, decay: float, revive_below: float) -> None:
        codebook = quantizer.embedding.weight
        codebook.requires_grad_(False)
        self._codebook = codebook
        self._decay = decay
        self._revive_below = revive_below
        self.counts = torch.zeros(codebook.shape[0], device=codebook.device)
        self.sums = torch.zeros_like(codebook)

    @torch.no_grad()
    def start(self, vectors: Tensor, generator: torch.Generator) -> None:
        """Fill the codebook with random rows of `vectors` (N, D)."""
        entries = self._codebook.shape[0]
        rows = torch.randint(vectors.shape[0], (entries,), generator=generator).to(vectors.device)
        noise = torch.randn(entries, vectors.shape[1], generator=generator).to(vectors.device)
        self._codebook.copy_(vectors[rows] + 0.01 * vectors.std() * noise)
        self.adopt()

    @torch.no_grad()
    def adopt(self) -> None:
        """Go on from the codebook as it is, trained elsewhere."""
        self.counts.fill_(1.0)
        self.sums.copy_(self._codebook)

    @torch.no_grad()
    def update(self, vectors: Tensor, codes: Tensor, generator: torch.Generator) -> int:
        """Move every entry towards the vectors (N, D) that chose it; returns how many entries were revived."""
        ones = torch.ones(len(codes), device=codes.device)
        counts = torch.zeros_like(self.counts).index_add_(0, codes, ones)
        sums = torch.zeros_like(self.sums).index_add_(0, codes, vectors)
        self.counts.mul_(self._decay).add_(counts, alpha=1.0 - self._decay)
        self.sums.mul_(self._decay).add_(sums, alpha=1.0 - self._decay)
        dead = torch.nonzero(self.counts < self._revive_below).flatten()
        if len(dead):
            rows = torch.randint(vectors.shape[0], (len(dead),), generator=generator).to(vectors.device)
            self.sums[dead] = vectors[rows]
            self.counts[dead] = 1.0
        self._codebook.copy_(self.sums / self.counts[:, None].clamp_min(1e-6))
        return len(dead)

    def state(self) -> dict[str, Tensor]:
        """What has to be kept for an exact resume."""
        return {"counts": self.counts, "sums": self.sums}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take back what `state` gave."""
        self.counts.copy_(state["counts"])
        self.sums.copy_(state["sums"])
