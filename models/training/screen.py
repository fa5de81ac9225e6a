"""Training of the screen: true films in every wrong way, and strangers."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional as F

from models.data.dataset import Record
from models.data.disturbances import Captions, collimated, disturbed, of_films, of_strangers, windowed
from models.screen.config import ScreenConfig, Thresholds
from models.screen.network import ScreenNetwork
from models.screen.screen import Screen
from models.training.loop import finite, learning_rate, run
from models.training.resuming import Resumable
from models.training.strangers import Strangers

NAME = "screen"
# Pictures are kept at this many times the network's side, so that parts of them stay sharp.
FINER = 4 / 3
# No film is refused that is surer than this, however sure the validation films are: they come from few hospitals.
_MOST_SURE = 0.75


class ScreenRecipe(BaseModel):
    """Schedule, sizes, and how many pictures of each family are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = 3600
    batch: int = 64
    learning_rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.02
    side: int = 96
    channels: tuple[int, ...] = (16, 32, 64, 112)
    drawn: int = 500
    seed: int = 0

    def phases(self) -> tuple[int, ...]:
        """First steps of phases that differ in speed."""
        return (0,)

    def scaled(self, factor: float) -> Self:
        """`factor` times as many steps."""
        steps = max(1, round(self.steps * factor))
        return self.model_copy(update={"steps": steps, "warmup": min(self.warmup, steps // 5)})

    @property
    def kept_side(self) -> int:
        """Side in pixels of the pictures that are kept for training."""
        return round(self.side * FINER)


class ScreenTrainer(Resumable):
    """Half of every batch are films, as many of each age group; all is drawn by (seed, process, step)."""

    recipe: ScreenRecipe

    def __init__(
        self,
        recipe: ScreenRecipe,
        records: Sequence[Record],
        films: np.ndarray,
        strangers: Strangers,
        accelerator: Accelerator,
    ) -> None:
        """`records` and `films`, uint8 (N, side, side), are those of the training split."""
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.accelerator = accelerator
        frontal = np.array([record.frontal for record in records])
        ages = np.array([record.age_group for record in records])
        self._films = films
        self._ages = [np.flatnonzero(frontal & (ages == age)) for age in sorted(set(ages[frontal]))]
        self._strangers = strangers.with_laterals(films[~frontal])
        self._captions = Captions(recipe.side)
        self.config = ScreenConfig(side=recipe.side, channels=recipe.channels, sources=strangers.sources)
        network = ScreenNetwork(self.config)
        optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.model, self.optimiser = accelerator.prepare(network, optimiser)
        self.step = 0

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pixels (B, S, S), kinds (B,), turns (B,), flags (B, 3); -1 where nothing is known."""
        recipe, half = self.recipe, self.recipe.batch // 2
        rows = [int(rng.choice(self._ages[index % len(self._ages)])) for index in range(half)]
        others, kinds, least = self._strangers.take(recipe.batch - half, rng)
        how, how_others = of_films(half, rng), of_strangers(least, rng)
        black = bool(rng.random() < 0.7)
        pixels = torch.cat(
            [
                disturbed(torch.from_numpy(collimated(self._films[rows], rng)), how, recipe.side, black=black),
                disturbed(torch.from_numpy(collimated(others, rng)), how_others, recipe.side, black=black),
            ]
        )
        pixels = self._captions.burn(windowed(pixels, rng), rng)
        nothing = np.full(len(others), -1)
        flags = np.stack([how.mirrored, how.inverted, how.cut], 1).astype(np.float32)
        return (
            pixels,
            torch.from_numpy(np.concatenate([np.zeros(half, np.int64), kinds])),
            torch.from_numpy(np.concatenate([how.turns, nothing])),
            torch.from_numpy(np.concatenate([flags, np.full((len(others), 3), -1, np.float32)])),
        )

    def advance(self) -> dict[str, float]:
        """One optimiser step."""
        recipe, device = self.recipe, self.accelerator.device
        rng = np.random.default_rng([recipe.seed, self.accelerator.process_index, self.step])
        # Dropout draws from torch's generator.
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)
        pixels, kinds, turns, flags = (part.to(device) for part in self.batch(rng))
        self.model.train()
        with self.accelerator.autocast():
            kind_logits, turn_logits, flag_logits = self.model(pixels)
        kind = F.cross_entropy(kind_logits.float(), kinds, label_smoothing=0.02)
        turn = F.cross_entropy(turn_logits.float(), turns, ignore_index=-1)
        known = (flags >= 0).float()
        flag = F.binary_cross_entropy_with_logits(flag_logits.float(), flags.clamp(min=0), known, reduction="sum")
        flag = flag / known[:, 0].sum().clamp(min=1)
        loss = finite(kind + turn + flag, self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(recipe.learning_rate, recipe.warmup, recipe.steps, self.step)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.optimiser.step()
        self.step += 1
        return {"loss": loss.item(), "kind": kind.item(), "turn": turn.item(), "flags": flag.item()}

    def sample(self) -> Image.Image | None:
        """A batch as the network sees it."""
        pixels = self.batch(np.random.default_rng([self.recipe.seed, self.step]))[0]
        grey = ((pixels + 1) * 127.5).to(torch.uint8).cpu().numpy()
        columns = max(1, round(math.sqrt(len(grey))))
        rows = [np.hstack(list(grey[start : start + columns])) for start in range(0, len(grey) - columns + 1, columns)]
        return Image.fromarray(np.vstack(rows))


def thresholds(screen: Screen, films: np.ndarray) -> Thresholds:
    """Thresholds from looks at true upright films, uint8 (N, H, W), that training did not see."""
    looks = screen.look(films)

    def quantile(name: str, share: float) -> float:
        return float(np.quantile([getattr(look, name) for look in looks], share))

    return Thresholds(
        refuse=min(_MOST_SURE, quantile("frontal", 0.005)),
        doubt=quantile("frontal", 0.02),
        turned=max(0.5, quantile("turned", 0.995)),
        inverted_grey=max(0.5, quantile("inverted_grey", 0.995)),
        mirrored=max(0.5, quantile("mirrored", 0.95)),
        cut=max(0.5, quantile("cut", 0.98)),
    )


def train_screen(trainer: ScreenTrainer, unseen: np.ndarray, out: Path, until: float = math.inf) -> Screen:
    """Train to the recipe's end or `until` that moment of `time.monotonic`; set thresholds on the `unseen` films,
    uint8 (N, H, W); write `out/screen`.
    """
    run(trainer, NAME, trainer.recipe.steps, out, until=until)
    network: ScreenNetwork = trainer.accelerator.unwrap_model(trainer.model).cpu()
    screen = Screen(network, trainer.config)
    if len(unseen):
        screen = Screen(network, trainer.config.model_copy(update={"thresholds": thresholds(screen, unseen)}))
    if trainer.accelerator.is_main_process:
        screen.save(out / NAME)
    return screen
