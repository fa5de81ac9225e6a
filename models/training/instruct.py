"""Instruction tuning of the language model: report, draw and answer in one mixture, after LLM-CXR (Lee et al. 2024).

Every step draws its batch from a generator seeded by (seed, step), so a resumed run sees the same batches.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from models.prompts import Prompts
from models.training.data import Study
from models.training.loop import learning_rate, run
from models.training.wording import condition, drawing_request, exchanges, report
from models.vocabulary import Vocabulary

STATE_FILE = "instruct.state"
# Nearly every image is an AP view of a child: those questions teach little after the first hundred.
_QUESTION_WEIGHTS = {"view": 0.2, "age group": 0.2}


@dataclass(frozen=True)
class InstructRecipe:
    """Mixture, schedule and weights. The paper counts the loss on the response only; a model trained from scratch on
    few images also learns from the image tokens of its inputs, at `input_image_weight`.
    """

    steps: int = 2000
    batch: int = 16
    learning_rate: float = 1.5e-3
    warmup: int = 100
    report_share: float = 0.30
    draw_share: float = 0.30
    input_image_weight: float = 0.3
    weight_decay: float = 0.05
    seed: int = 0
    save_every: int = 100


@dataclass(frozen=True)
class Example:
    """Token ids, and the weight of each as a target."""

    ids: list[int]
    weights: list[float]


def build_model(vocabulary: Vocabulary, hidden: int, layers: int, heads: int) -> GPTNeoXForCausalLM:
    """A GPT-NeoX of the given width over the joint vocabulary, with the published model's rotary share and layout."""
    config = GPTNeoXConfig(
        vocab_size=vocabulary.size,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        max_position_embeddings=1024,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
        use_parallel_residual=True,
        tie_word_embeddings=False,
        bos_token_id=vocabulary.padding,
        eos_token_id=vocabulary.end,
        pad_token_id=vocabulary.padding,
        dtype="float32",
    )
    return GPTNeoXForCausalLM(config)


class Mixture:
    """Draws training examples: a task, a condition (each as often as the other), a study, a wording."""

    def __init__(self, prompts: Prompts, studies: Sequence[Study], codes: np.ndarray, recipe: InstructRecipe) -> None:
        self._prompts = prompts
        self._codes = codes
        self._recipe = recipe
        self._groups: dict[str, list[int]] = {}
        for row, study in enumerate(studies):
            self._groups.setdefault(condition(study) or "unlabelled", []).append(row)
        self._studies = studies
        # A rare label is drawn in proportion to the root of its count: often enough to learn, too rarely to memorise.
        self._names = sorted(self._groups)
        self._weights = [math.sqrt(min(len(self._groups[name]), 1200)) for name in self._names]

    def example(self, rng: Random) -> Example:
        """One example."""
        row = rng.choice(self._groups[rng.choices(self._names, self._weights)[0]])
        study, codes = self._studies[row], [int(code) for code in self._codes[row]]
        prompts, share = self._prompts, rng.random()
        text = report(study, rng)
        if share < self._recipe.report_share and text is not None:
            return self._reading(prompts.report(codes), text)
        if share < self._recipe.report_share + self._recipe.draw_share:
            prompt, response = prompts.draw(drawing_request(study, rng)), prompts.drawn(codes)
            return Example(prompt + response, [0.0] * len(prompt) + [1.0] * len(response))
        asked = exchanges(study, rng)
        exchange = rng.choices(asked, [_QUESTION_WEIGHTS.get(item.kind, 1.0) for item in asked])[0]
        return self._reading(prompts.answer(codes, exchange.question), exchange.answer)

    def _reading(self, prompt: list[int], answer: str) -> Example:
        offset, weight = self._prompts.vocabulary.image_offset, self._recipe.input_image_weight
        response = self._prompts.written(answer)
        return Example(prompt + response, [weight if i >= offset else 0.0 for i in prompt] + [1.0] * len(response))

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, attention mask and weights of a step, each (B, longest), padded on the right."""
        rng = Random(f"{self._recipe.seed}:{step}")
        examples = [self.example(rng) for _ in range(self._recipe.batch)]
        longest = max(len(example.ids) for example in examples)
        padding = self._prompts.vocabulary.padding
        ids = torch.tensor([e.ids + [padding] * (longest - len(e.ids)) for e in examples])
        weights = torch.tensor([e.weights + [0.0] * (longest - len(e.ids)) for e in examples])
        mask = torch.tensor([[1] * len(e.ids) + [0] * (longest - len(e.ids)) for e in examples])
        return ids, mask, weights


def weighted_loss(logits: Tensor, ids: Tensor, weights: Tensor, offset: int) -> tuple[Tensor, dict[str, float]]:
    """Mean cross-entropy of the next token under `weights`; text and image means are kept apart and added, so that 256
    image tokens do not drown a dozen words.
    """
    targets, weights = ids[:, 1:], weights[:, 1:]
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), targets.flatten(), reduction="none")
    losses = losses.view_as(targets)
    image = (targets >= offset).float() * weights
    text = (targets < offset).float() * weights
    image_loss = (losses * image).sum() / image.sum().clamp_min(1.0)
    text_loss = (losses * text).sum() / text.sum().clamp_min(1.0)
    return image_loss + text_loss, {"image": float(image_loss.detach()), "text": float(text_loss.detach())}


class InstructTrainer:
    """A language model and its optimiser, advanced one step at a time."""

    def __init__(self, model: GPTNeoXForCausalLM, mixture: Mixture, vocabulary: Vocabulary, recipe: InstructRecipe):
        self.model = model
        self.recipe = recipe
        self._mixture = mixture
        self._offset = vocabulary.image_offset
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=recipe.weight_decay
        )
        self.step = 0

    def advance(self) -> dict[str, float]:
        """One optimiser step; returns its losses. Raises FloatingPointError on a loss that is not finite."""
        recipe = self.recipe
        ids, mask, weights = self._mixture.batch(self.step)
        logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        loss, parts = weighted_loss(logits, ids, weights, self._offset)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"step {self.step}: loss is {float(loss.detach())}")
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(recipe.learning_rate, recipe.warmup, recipe.steps, self.step)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return parts

    def state(self) -> dict[str, Any]:
        """Everything an exact resume needs."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "recipe": asdict(self.recipe),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]


def train_instruct(trainer: InstructTrainer, out: Path) -> None:
    """Train to the recipe's end, resuming from `out`."""
    recipe = trainer.recipe
    trainer.model.train()
    run(trainer, "Language model", recipe.steps, out / STATE_FILE, save_every=recipe.save_every, print_every=25)
    trainer.model.eval()
