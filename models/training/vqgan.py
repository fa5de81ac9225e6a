"""Training of the image tokenizer: crops first, whole images last.

Every step draws its batch from a generator seeded by (seed, step), so a resumed run sees the same batches.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.training.codebook import CodebookAverage
from models.training.loop import learning_rate, run
from models.training.losses import edges, reconstruction_loss
from models.vqgan import VQGAN, VQGANConfig
from models.vqgan.pixels import to_pixels

STATE_FILE = "vqgan.state"


@dataclass(frozen=True)
class VQGANRecipe:
    """How long and how to train. A step is one batch; the last `whole_steps` use whole images."""

    steps: int = 5000
    whole_steps: int = 1000
    crop: int = 128
    crop_batch: int = 8
    whole_batch: int = 4
    learning_rate: float = 1e-3
    warmup: int = 200
    commitment: float = 0.25
    codebook_decay: float = 0.99
    revive_below: float = 0.02
    edge_weight: float = 1.0
    seed: int = 0
    save_every: int = 250


def _batch(images: np.ndarray, rows: np.ndarray, recipe: VQGANRecipe, step: int) -> np.ndarray:
    """Crops or whole images for `step`: uint8 (B, side, side)."""
    rng = np.random.default_rng([recipe.seed, step])
    whole = step >= recipe.steps - recipe.whole_steps
    count = recipe.whole_batch if whole else recipe.crop_batch
    chosen = np.sort(rng.choice(rows, count, replace=False))
    if whole:
        return np.stack([images[row] for row in chosen])
    limit = images.shape[1] - recipe.crop + 1
    corners = rng.integers(0, limit, (count, 2))
    return np.stack(
        [images[r, y : y + recipe.crop, x : x + recipe.crop] for r, (y, x) in zip(chosen, corners, strict=True)]
    )


class VQGANTrainer:
    """A model, its optimiser and its codebook averages, advanced one step at a time."""

    def __init__(self, config: VQGANConfig, recipe: VQGANRecipe, images: np.ndarray, rows: np.ndarray) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self._images = images
        self._rows = rows
        self.model = VQGAN(config)
        self.codebook = CodebookAverage(self.model.quantize, recipe.codebook_decay, recipe.revive_below)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(trained, lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4)
        self.step = 0

    def advance(self) -> dict[str, float]:
        """One optimiser step; returns its losses. Raises FloatingPointError on a loss that is not finite."""
        recipe, generator = self.recipe, torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step)
        pixels = to_pixels(_batch(self._images, self._rows, recipe, self.step), self.model.config.in_channels)
        features = self.model.embed(pixels)
        vectors = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
        if self.step == 0:
            self.codebook.start(vectors.detach(), generator)
        codes = self.model.quantize.nearest(vectors.detach())
        entries = self.model.quantize.entries(codes).view(features.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
        decoded = self.model.reconstruct(features + (entries - features).detach())
        reconstruction = reconstruction_loss(decoded, pixels) + recipe.edge_weight * F.l1_loss(
            edges(decoded), edges(pixels)
        )
        commitment = F.mse_loss(features, entries)
        loss: Tensor = reconstruction + recipe.commitment * commitment
        if not torch.isfinite(loss):
            raise FloatingPointError(f"step {self.step}: loss is {float(loss.detach())}")
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(recipe.learning_rate, recipe.warmup, recipe.steps, self.step)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        revived = self.codebook.update(vectors.detach(), codes, generator)
        self.step += 1
        mse = float(F.mse_loss(decoded.detach().clamp(-1, 1), pixels))
        psnr = 10.0 * math.log10(4.0 / max(mse, 1e-12))
        return {
            "loss": float(loss.detach()),
            "psnr": psnr,
            "commitment": float(commitment.detach()),
            "revived": float(revived),
        }

    def state(self) -> dict[str, Any]:
        """Everything an exact resume needs."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "codebook": self.codebook.state(),
            "recipe": asdict(self.recipe),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.codebook.restore(state["codebook"])
        self.step = state["step"]


def train_vqgan(config: VQGANConfig, recipe: VQGANRecipe, images: np.ndarray, rows: np.ndarray, out: Path) -> VQGAN:
    """Train to `recipe.steps`, resuming from `out`; writes the model to `out/vqgan`."""
    trainer = VQGANTrainer(config, recipe, images, rows)
    run(trainer, "VQ-GAN", recipe.steps, out / STATE_FILE, save_every=recipe.save_every, print_every=50)
    trainer.model.eval().save(out / "vqgan")
    return trainer.model
