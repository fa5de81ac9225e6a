"""Training of the image tokenizer: crops first, then whole images, then the decoder alone against a discriminator.

Every step draws its batch from a generator seeded by (seed, process, step), so a resumed run sees the same batches.
"""

import math
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional as F

from models.data.images import Pictures, grid
from models.features import load_features
from models.training.codebook import CodebookAverage
from models.training.discriminator import PatchDiscriminator, balance, hinge_loss
from models.training.forward import StraightThroughPass
from models.training.loop import figures, finite, learning_rate, run
from models.training.losses import edges, preservation_losses, reconstruction_loss, texture_loss
from models.vqgan import VQGAN, VQGANConfig
from models.vqgan.pixels import to_grey, to_pixels

NAME = "vqgan"
_SAMPLES = 6


class VQGANRecipe(BaseModel):
    """How long and how to train. A step is one batch; steps named `..._from` begin a phase and may lie past the end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = 9000
    whole_from: int = 5500
    # From here encoder and codebook are frozen: codes are final, and only the decoder is trained.
    freeze_codes_from: int = 6500
    discriminator_from: int = 6800
    crop: int = 128
    crop_batch: int = 8
    whole_batch: int = 4
    learning_rate: float = 1e-3
    discriminator_learning_rate: float = 2e-4
    discriminator_channels: int = 32
    warmup: int = 200
    commitment: float = 0.25
    codebook_decay: float = 0.99
    revive_below: float = 0.02
    edge_weight: float = 1.0
    perceptual_weight: float = 0.5
    clinical_weight: float = 1.0
    texture_weight: float = 0.0
    adversarial_weight: float = 0.1
    seed: int = 0

    def phases(self) -> tuple[int, ...]:
        """First steps of phases that differ in speed."""
        starts = {0, self.whole_from, self.freeze_codes_from, self.discriminator_from}
        return tuple(sorted(start for start in starts if start < self.steps))

    def scaled(self, factor: float) -> Self:
        """`factor` times as many steps, its phases in proportion."""
        names = ("steps", "whole_from", "freeze_codes_from", "discriminator_from")
        changed = {name: round(getattr(self, name) * factor) for name in names}
        steps = changed["steps"] = max(1, changed["steps"])
        return self.model_copy(update={**changed, "warmup": min(self.warmup, steps // 5)})


def _batch(pictures: Pictures, side: int, rows: np.ndarray, recipe: VQGANRecipe, process: int, step: int) -> Tensor:
    """Crops or whole images of `side` for `step`: uint8 (B, side, side)."""
    rng = np.random.default_rng([recipe.seed, process, step] if process else [recipe.seed, step])
    whole = step >= recipe.whole_from
    count = recipe.whole_batch if whole else recipe.crop_batch
    chosen = np.sort(rng.choice(rows, count, replace=len(rows) < count))
    images = pictures.take(chosen)
    if whole:
        return images
    corners = rng.integers(0, side - recipe.crop + 1, (count, 2))
    return torch.stack(
        [image[y : y + recipe.crop, x : x + recipe.crop] for image, (y, x) in zip(images, corners, strict=True)]
    )


class VQGANTrainer:
    """Image tokenizer, discriminator, optimisers and codebook averages, advanced one step at a time."""

    def __init__(
        self,
        config: VQGANConfig,
        recipe: VQGANRecipe,
        images: np.ndarray,
        rows: np.ndarray,
        accelerator: Accelerator,
        features: str = "",
        start: VQGAN | None = None,
    ) -> None:
        """`rows` are the training rows of `images`; `features` as `load_features` reads them, empty for none.

        `start` is a trained image tokenizer of the same architecture to begin from.
        """
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.accelerator = accelerator
        self._side = images.shape[1]
        self._pictures = Pictures(images, accelerator.device)
        self._rows = rows
        self._features = load_features(features, accelerator.device) if features else None
        model = VQGAN(config).to(accelerator.device)
        self._started = start is not None
        if start is not None:
            model.load_state_dict(start.state_dict())
        self.codebook = CodebookAverage(model.quantize, recipe.codebook_decay, recipe.revive_below)
        if self._started:
            self.codebook.adopt()
        trained = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4)
        critic = PatchDiscriminator(config.out_ch, recipe.discriminator_channels)
        critic_optimiser = torch.optim.AdamW(
            critic.parameters(), lr=recipe.discriminator_learning_rate, betas=(0.5, 0.9)
        )
        self._pass, self.optimiser, self.critic, self.critic_optimiser = accelerator.prepare(
            StraightThroughPass(model), optimiser, critic, critic_optimiser
        )
        self.step = 0

    @property
    def model(self) -> VQGAN:
        """The image tokenizer itself."""
        model: VQGAN = self.accelerator.unwrap_model(self._pass).model
        return model

    def _loss(self, decoded: Tensor, pixels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The decoder's loss without the adversarial term, and its parts."""
        recipe = self.recipe
        loss = reconstruction_loss(decoded, pixels)
        loss = loss + recipe.edge_weight * F.l1_loss(edges(decoded), edges(pixels))
        parts: dict[str, Tensor] = {}
        if self.step < recipe.whole_from:
            return loss, parts
        if recipe.texture_weight:
            parts["texture"] = texture_loss(decoded, pixels)
            loss = loss + recipe.texture_weight * parts["texture"]
        if self._features is not None:
            clinical, perceptual = preservation_losses(self._features, decoded, pixels)
            parts |= {"clinical": clinical, "perceptual": perceptual}
            loss = loss + recipe.clinical_weight * clinical + recipe.perceptual_weight * perceptual
        return loss, parts

    def _fool(self, decoded: Tensor, loss: Tensor) -> Tensor:
        """The adversarial term, as heavy at the last layer as `loss` times the recipe's weight."""
        self.critic.requires_grad_(False)
        adversarial = -self.accelerator.unwrap_model(self.critic)(decoded).mean()
        self.critic.requires_grad_(True)
        weight = balance(loss, adversarial, self.model.decoder.conv_out.weight)
        return self.recipe.adversarial_weight * weight * adversarial

    def _criticise(self, decoded: Tensor, pixels: Tensor) -> Tensor:
        """One step of the discriminator; returns its loss."""
        real, made = self.critic(torch.cat([pixels, decoded.detach()])).float().chunk(2)
        loss = finite(hinge_loss(real, made), self.step)
        self.critic_optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.critic_optimiser.step()
        return loss.detach()

    def advance(self) -> dict[str, float]:
        """One optimiser step; returns its losses. Raises FloatingPointError on a loss that is not finite."""
        recipe, accelerator = self.recipe, self.accelerator
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + self.step)
        frozen = self.step >= recipe.freeze_codes_from
        batch = _batch(self._pictures, self._side, self._rows, recipe, accelerator.process_index, self.step)
        pixels = to_pixels(batch, self.model.config.in_channels).to(accelerator.device)
        self._pass.train()
        if self.step == 0 and not self._started:
            with torch.no_grad():
                first = self.model.embed(pixels).float().permute(0, 2, 3, 1).flatten(0, 2)
            self.codebook.start(accelerator.gather(first), generator)
        with accelerator.autocast():
            decoded, features, entries, codes = self._pass(pixels, frozen)
            decoded = decoded.float()
            loss, parts = self._loss(decoded, pixels)
            if not frozen:
                parts["commitment"] = F.mse_loss(features, entries)
                loss = loss + recipe.commitment * parts["commitment"]
            critical = self.step >= recipe.discriminator_from
            total = finite(loss + self._fool(decoded, loss) if critical else loss, self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(recipe.learning_rate, recipe.warmup, recipe.steps, self.step)
        self.optimiser.zero_grad(set_to_none=True)
        accelerator.backward(total)
        accelerator.clip_grad_norm_(self._pass.parameters(), 1.0)
        self.optimiser.step()
        if critical:
            with accelerator.autocast():
                parts["discriminator"] = self._criticise(decoded, pixels)
        if not frozen:
            vectors = features.detach().permute(0, 2, 3, 1).flatten(0, 2)
            found, chosen = accelerator.gather(vectors), accelerator.gather(codes)
            parts["revived"] = loss.new_tensor(self.codebook.update(found, chosen, generator))
        self.step += 1
        mse = F.mse_loss(decoded.detach().clamp(-1, 1), pixels).clamp_min(1e-12)
        return figures({"loss": loss, "psnr": 10.0 * torch.log10(4.0 / mse), **parts})

    def state(self) -> dict[str, Any]:
        """Everything an exact resume needs."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "codebook": self.codebook.state(),
            "critic": self.accelerator.unwrap_model(self.critic).state_dict(),
            "critic_optimiser": self.critic_optimiser.state_dict(),
            "recipe": self.recipe.model_dump(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.codebook.restore(state["codebook"])
        self.accelerator.unwrap_model(self.critic).load_state_dict(state["critic"])
        self.critic_optimiser.load_state_dict(state["critic_optimiser"])
        self.step = state["step"]

    def sample(self) -> Image.Image:
        """A row of training images above their reconstructions."""
        chosen = self._pictures.take(self._rows[:_SAMPLES])
        model, device = self.model.eval(), self.accelerator.device
        with torch.inference_mode():
            codes = model.encode(to_pixels(chosen, model.config.in_channels).to(device))
            made = to_grey(model.decode(codes))
        return grid(np.concatenate([chosen.cpu().numpy(), made]), len(chosen))


def train_vqgan(trainer: VQGANTrainer, out: Path, until: float = math.inf) -> VQGAN:
    """Train to the recipe's end or `until` that moment of `time.monotonic`; writes the model to `out/vqgan`."""
    run(trainer, NAME, trainer.recipe.steps, out, until=until)
    model = trainer.model.eval()
    if trainer.accelerator.is_main_process:
        model.save(out / NAME)
    return model
