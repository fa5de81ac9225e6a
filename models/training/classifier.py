"""Training of the classifier on real radiographs only."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from pydantic import BaseModel, ConfigDict
from torch.nn import functional as F

from models.classifier import Classifier, ClassifierConfig
from models.data.dataset import DataError, Record
from models.data.images import Pictures
from models.data.variations import random_variations, vary
from models.training.loop import finite, learning_rate, run
from models.training.resuming import Resumable
from models.vqgan.pixels import to_pixels

NAME = "classifier"
# The same network of another seed, which no training uses: it judges drawings.
JUDGE = "judge"


class ClassifierRecipe(BaseModel):
    """Schedule; labels rarer than `fewest` are left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = 2500
    batch: int = 32
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.02
    fewest: int = 20
    mirror: bool = True
    channels: tuple[int, ...] = (24, 48, 96, 160)
    seed: int = 0

    def phases(self) -> tuple[int, ...]:
        """First steps of phases that differ in speed."""
        return (0,)

    def scaled(self, factor: float) -> Self:
        """`factor` times as many steps."""
        steps = max(1, round(self.steps * factor))
        return self.model_copy(update={"steps": steps, "warmup": min(self.warmup, steps // 5)})


def frequent_labels(records: Sequence[Record], fewest: int) -> tuple[str, ...]:
    """Labels of at least `fewest` training records. Raises DataError where there are not two of them."""
    counts = Counter(label for record in records if record.split == "train" for label in record.labels)
    found = tuple(sorted(label for label, count in counts.items() if count >= fewest))
    if len(found) < 2:
        raise DataError(f"a classifier needs two labels of {fewest} training images, there are {len(found)}")
    return found


class ClassifierTrainer(Resumable):
    """Every step draws each label as often as the others, from a generator seeded by (seed, process, step)."""

    recipe: ClassifierRecipe

    def __init__(
        self, recipe: ClassifierRecipe, records: Sequence[Record], images: np.ndarray, accelerator: Accelerator
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.accelerator = accelerator
        labels = frequent_labels(records, recipe.fewest)
        self._pictures = Pictures(images, accelerator.device)
        self._targets = np.array([[label in r.labels for label in labels] for r in records], np.float32)
        train = np.array([r.split == "train" for r in records])
        self._rows = [np.flatnonzero(train & (column > 0)) for column in self._targets.T]
        model = Classifier(ClassifierConfig(labels=labels, side=images.shape[1] // 2, channels=recipe.channels))
        optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.model, self.optimiser = accelerator.prepare(model, optimiser)
        self.step = 0

    def advance(self) -> dict[str, float]:
        """One optimiser step."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, self.accelerator.process_index, self.step])
        # Dropout draws from torch's generator.
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)
        rows = [int(rng.choice(self._rows[rng.integers(len(self._rows))])) for _ in range(recipe.batch)]
        pictures = vary(self._pictures.take(rows), random_variations(len(rows), rng))
        device = self.accelerator.device
        if recipe.mirror:
            mirrored = torch.from_numpy(rng.random(len(rows)) < 0.5).to(device)
            pictures = torch.where(mirrored[:, None, None], pictures.flip(2), pictures)
        self.model.train()
        model = self.accelerator.unwrap_model(self.model)
        with self.accelerator.autocast():
            logits = model.logits(to_pixels(pictures, 1))
        targets = torch.from_numpy(self._targets[rows]).to(device)
        loss = finite(F.binary_cross_entropy_with_logits(logits.float(), targets), self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(recipe.learning_rate, recipe.warmup, recipe.steps, self.step)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.optimiser.step()
        self.step += 1
        right = float((logits.argmax(1) == targets.argmax(1)).float().mean())
        return {"loss": float(loss.detach()), "batch_accuracy": right}

    def sample(self) -> Image.Image | None:
        """A classifier draws nothing."""
        return None


def train_classifier(trainer: ClassifierTrainer, out: Path, name: str = NAME, until: float = math.inf) -> Classifier:
    """Train to the recipe's end or `until` that moment of `time.monotonic`; writes the model to `out/name`."""
    run(trainer, name, trainer.recipe.steps, out, until=until)
    model: Classifier = trainer.accelerator.unwrap_model(trainer.model).eval()
    if trainer.accelerator.is_main_process:
        model.save(out / name)
    return model
