"""Instruction tuning of the language model on the mixture, after LLM-CXR (Lee et al. 2024).

Every step draws its batch from a generator seeded by (seed, process, step), so a resumed run sees the same batches.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
from accelerate import Accelerator
from PIL import Image
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedModel

from models.conditions import BACTERIAL, NORMAL, VIRAL
from models.training.batches import Batches
from models.training.language_model import ImageEmbeddings
from models.training.loop import figures, finite, learning_rate, run
from models.training.mixture import Mixture, Phase

NAME = "instruct"


class SelectionRecipe(BaseModel):
    """At `step`, draw for every one of `conditions` until `each` drawings are kept or `most` have been drawn.

    A drawing may be kept when `readings` of its decoded image, all but the first slightly varied, state its condition;
    with `classifier`, the classifier behind the image tokenizer's losses has to agree.
    With `matched`, those are kept that resemble real films in structure, spectrum, likelihood and to a discriminator
    (see `realism`). `temperature` and `top_p` are those of the drawings, `guidance` their scale against a request of
    an empty text where the recipe drops conditions, else against a radiograph that is to be reported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    conditions: tuple[str, ...] = (NORMAL, BACTERIAL, VIRAL)
    each: int = 200
    most: int = 640
    guidance: float = 2.0
    temperature: float = 0.95
    top_p: float = 0.95
    readings: int = 3
    classifier: bool = False
    matched: bool = False


class InstructRecipe(BaseModel):
    """Model, phases, schedule and weights; the recipe ends where its last phase does.

    `base` is a Hugging Face folder to begin from; with `goes_on`, training goes on from the language model and the text
    tokenizer of the bundle that it is started from; else a GPT-NeoX of `width`, `layers`, `heads` begins from scratch.
    The paper counts the loss on the response only (`input_image_weight` 0); a model trained from scratch on few images
    also learns from the image tokens of its inputs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = ""
    goes_on: bool = False
    image_embeddings: ImageEmbeddings = "random"
    gradient_checkpointing: bool = False
    width: int = 192
    layers: int = 6
    heads: int = 3
    context: int = 1024
    dropout: float = 0.0
    text_size: int = 640
    variants: int = 4
    stages: tuple[Phase, ...] = (Phase(until=7000),)
    selections: tuple[SelectionRecipe, ...] = ()
    batch: int = 16
    learning_rate: float = 1.5e-3
    warmup: int = 100
    input_image_weight: float = 0.3
    # The share of drawings learnt from an empty request, which guidance needs.
    dropped_conditions: float = 0.0
    # A report has a dozen tokens, one or two of which carry the finding; a drawing has 256.
    text_weight: float = 8.0
    weight_decay: float = 0.05
    seed: int = 0

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return self.stages[-1].until

    def phases(self) -> tuple[int, ...]:
        """First steps of phases that differ in speed."""
        return (0,)

    def scaled(self, factor: float) -> Self:
        """`factor` times as many steps, its phases and selections in proportion."""
        at: dict[int, int] = {}
        for step in sorted({*(stage.until for stage in self.stages), *(one.step for one in self.selections)}):
            # Every phase keeps one step at least.
            at[step] = max(round(step * factor), max(at.values(), default=0) + 1)
        stages = tuple(stage.model_copy(update={"until": at[stage.until]}) for stage in self.stages)
        selections = tuple(one.model_copy(update={"step": at[one.step]}) for one in self.selections)
        warmup = min(self.warmup, stages[-1].until // 5)
        return self.model_copy(update={"stages": stages, "selections": selections, "warmup": warmup})


def weighted_loss(
    logits: Tensor, ids: Tensor, weights: Tensor, offset: int, text_weight: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean cross-entropy of the next token under `weights`; text and image means are computed apart and added, so that
    256 image tokens do not outweigh a dozen words.
    """
    targets, weights = ids[:, 1:], weights[:, 1:]
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), targets.flatten(), reduction="none")
    losses = losses.view_as(targets)
    image = (targets >= offset).float() * weights
    text = (targets < offset).float() * weights
    image_loss = (losses * image).sum() / image.sum().clamp_min(1.0)
    text_loss = (losses * text).sum() / text.sum().clamp_min(1.0)
    return image_loss + text_weight * text_loss, {"image": image_loss.detach(), "text": text_loss.detach()}


class InstructTrainer:
    """A language model and its optimiser, advanced one step at a time."""

    def __init__(
        self,
        model: PreTrainedModel,
        mixture: Mixture,
        image_offset: int,
        recipe: InstructRecipe,
        accelerator: Accelerator,
        picture: Callable[[PreTrainedModel], Image.Image] | None = None,
        workers: int = 0,
    ) -> None:
        """`picture` draws what the model can do now, for `sample`; `workers` are processes that make batches."""
        if recipe.gradient_checkpointing:
            model.gradient_checkpointing_enable()
        self.recipe = recipe
        self.accelerator = accelerator
        process = accelerator.process_index
        seed = f"{recipe.seed}.{process}" if process else str(recipe.seed)
        self._batches = Batches(mixture, recipe.batch, seed, recipe.steps, workers)
        self._offset = image_offset
        self._picture = picture
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=recipe.weight_decay
        )
        self._parallel, self.optimiser = accelerator.prepare(model, optimiser)
        self.step = 0

    @property
    def model(self) -> PreTrainedModel:
        """The language model itself."""
        return self.accelerator.unwrap_model(self._parallel)

    def advance(self) -> dict[str, float]:
        """One optimiser step; returns its losses. Raises FloatingPointError on a loss that is not finite."""
        recipe, accelerator = self.recipe, self.accelerator
        # Dropout draws from torch's generator.
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)
        ids, weights = (part.to(accelerator.device, non_blocking=True) for part in self._batches.at(self.step))
        self._parallel.train()
        # Rows are padded on the right and attention looks to the left: without a mask, its fastest kernel serves.
        with accelerator.autocast():
            logits = self._parallel(input_ids=ids, use_cache=False).logits
        loss, parts = weighted_loss(logits, ids, weights, self._offset, recipe.text_weight)
        finite(loss, self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(recipe.learning_rate, recipe.warmup, recipe.steps, self.step)
        self.optimiser.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(self._parallel.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return figures(parts)

    def state(self) -> dict[str, Any]:
        """Everything an exact resume needs."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "recipe": self.recipe.model_dump(mode="json"),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def sample(self) -> Image.Image | None:
        """What the model draws now, where it was given the means."""
        return self._picture(self.model.eval()) if self._picture else None


def train_instruct(
    trainer: InstructTrainer, out: Path, steps: int | None = None, until: float = math.inf
) -> PreTrainedModel:
    """Train to `steps`, unset to the recipe's end, or `until` that moment of `time.monotonic`, resuming from `out`."""
    run(trainer, NAME, steps or trainer.recipe.steps, out, print_every=25, until=until)
    return trainer.model.eval()
