"""Offline generation, decoded as the server decodes: text ids only, or 256 image ids only."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from rich.progress import track
from transformers import PreTrainedModel

from models.bundle import Decoding
from models.vocabulary import Vocabulary

_BATCH = 32


def _by_length(prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Positions of the prompts in batches of equal length."""
    groups: dict[int, list[int]] = {}
    for position, prompt in enumerate(prompts):
        groups.setdefault(len(prompt), []).append(position)
    return [rows[start : start + _BATCH] for rows in groups.values() for start in range(0, len(rows), _BATCH)]


def write(
    model: PreTrainedModel, vocabulary: Vocabulary, prompts: Sequence[Sequence[int]], max_tokens: int = 48
) -> list[str]:
    """Greedy texts of the prompts."""
    refused = [*range(vocabulary.image_offset, vocabulary.size), *sorted(vocabulary.controls - {vocabulary.end})]
    texts = [""] * len(prompts)
    for rows in track(_by_length(prompts), description="Writing", transient=True):
        ids = torch.tensor([prompts[row] for row in rows], device=model.device)
        with torch.inference_mode():
            found = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=max_tokens,
                do_sample=False,
                eos_token_id=vocabulary.end,
                pad_token_id=vocabulary.padding,
                suppress_tokens=refused,
            )
        for row, answer in zip(rows, found[:, ids.shape[1] :].tolist(), strict=True):
            texts[row] = vocabulary.decode(answer).strip()
    return texts


def draw(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    count: int,
    seed: int = 0,
    guidance: float = 1.0,
    unconditional: Sequence[int] = (),
) -> np.ndarray:
    """Codes sampled for the prompts, each ending with the opening of an image: int64 (N, count).

    With `guidance` above one, probabilities move away from those behind the prompt `unconditional` (classifier-free
    guidance, Ho and Salimans 2022), at twice the cost. The server uses no guidance.
    """
    refused = [*range(vocabulary.image_offset), *range(vocabulary.size, model.config.vocab_size)]
    drawn = np.zeros((len(prompts), count), np.int64)
    for number, rows in enumerate(track(_by_length(prompts), description="Drawing", transient=True)):
        ids = torch.tensor([prompts[row] for row in rows], device=model.device)
        torch.manual_seed(seed * 1_000_003 + number)
        guided: dict[str, Any] = {}
        if guidance != 1.0:
            without = torch.tensor([list(unconditional)] * len(rows), device=model.device)
            guided = {"guidance_scale": guidance, "negative_prompt_ids": without}
        with torch.inference_mode():
            found = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=count,
                min_new_tokens=count,
                do_sample=True,
                temperature=decoding.temperature,
                top_p=decoding.top_p,
                top_k=0,
                pad_token_id=vocabulary.padding,
                suppress_tokens=refused,
                **guided,
            )
        drawn[rows] = found[:, ids.shape[1] :].cpu().numpy() - vocabulary.image_offset
    return drawn
