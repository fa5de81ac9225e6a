"""Offline generation, decoded as the server decodes: text ids only, or 256 image ids only.

Prompts of any length share a batch: they are padded on the left, so that every row's next id stands at the same place.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import track
from torch import Tensor
from transformers import PreTrainedModel

from models.bundle import Decoding
from models.vocabulary import Vocabulary
from models.watermark import Watermark

_CPU_BATCH = 32
_GPU_BATCH = 768


@dataclass(frozen=True)
class Guidance:
    """How far to move from the prompt `without` (classifier-free guidance, Ho and Salimans 2022, at twice the cost):
    logits are `without + scale * (asked - without)`, as the server's are.
    """

    scale: float
    without: tuple[int, ...]


def _batches(count: int, device: torch.device, description: str) -> Iterator[slice]:
    size = _GPU_BATCH if device.type == "cuda" else _CPU_BATCH
    for start in track(range(0, count, size), description=description, transient=True):
        yield slice(start, min(start + size, count))


def _left_padded(prompts: Sequence[Sequence[int]], padding: int) -> tuple[Tensor, Tensor]:
    """Ids and attention mask, int64 (N, longest)."""
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), padding)
    mask = torch.zeros((len(prompts), longest), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return ids, mask


@torch.inference_mode()
def continue_prompts(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    choose: Callable[[Tensor, int], Tensor],
    count: int,
    *,
    padding: int,
    guidance: Guidance | None = None,
    end: int | None = None,
) -> Tensor:
    """`count` ids behind every prompt, fewer where all rows have reached `end`: int64 (N, count).

    `choose` takes the next ids' logits, float (N, vocabulary), and how many were chosen before; it returns ids (N,).
    With `guidance`, every prompt has a second row whose ids follow the first's.
    """
    device, rows = model.device, len(prompts)
    ids, mask = (
        part.to(device) for part in _left_padded([*prompts, *([guidance.without] * rows if guidance else [])], padding)
    )
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    done = torch.zeros(rows, dtype=torch.bool, device=device)
    past, found = None, []
    for step in range(count):
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            out = model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=past,
                use_cache=True,
                logits_to_keep=1,
            )
        past, logits = out.past_key_values, out.logits[:, -1].float()
        if guidance:
            asked, without = logits[:rows], logits[rows:]
            logits = without + guidance.scale * (asked - without)
        chosen = choose(logits, step)
        if end is not None:
            chosen = torch.where(done, end, chosen)
            done |= chosen == end
        found.append(chosen)
        # A GPU is asked only now and then: to ask is to wait for it.
        if end is not None and (device.type == "cpu" or len(found) % 8 == 0) and bool(done.all()):
            break
        ids = (torch.cat([chosen, chosen]) if guidance else chosen)[:, None]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        positions = positions[:, -1:] + 1
    return torch.stack(found, 1)


def write(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    prompts: Sequence[Sequence[int]],
    max_tokens: int = 48,
    sampled: int | None = None,
) -> list[str]:
    """Texts of the prompts: greedy, or where `sampled` is a seed, sampled at temperature 1 with nothing cut off."""
    beyond = range(vocabulary.image_offset, model.config.vocab_size)
    refused = torch.tensor([*beyond, *sorted(vocabulary.controls - {vocabulary.end})], device=model.device)

    generator = None if sampled is None else torch.Generator(model.device).manual_seed(sampled)

    def choose(logits: Tensor, step: int) -> Tensor:
        logits[:, refused] = -torch.inf
        if generator is None:
            return logits.argmax(1)
        return torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]

    texts: list[str] = []
    for rows in _batches(len(prompts), model.device, "Writing"):
        found = continue_prompts(
            model, prompts[rows], choose, max_tokens, padding=vocabulary.padding, end=vocabulary.end
        )
        texts += [vocabulary.decode(_until(answer, vocabulary.end)).strip() for answer in found.tolist()]
    return texts


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids


def draw(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
    count: int,
    seed: int = 0,
    guidance: Guidance | None = None,
    watermark: Watermark | None = None,
) -> np.ndarray:
    """Codes sampled for the prompts, each ending with the opening of an image: int64 (N, count)."""
    generator = torch.Generator(model.device).manual_seed(seed)

    def drawn(logits: Tensor, step: int) -> Tensor:
        image = logits[:, vocabulary.image_offset : vocabulary.size]
        if watermark is not None:
            image = image + torch.from_numpy(watermark.bias([step], vocabulary.codebook_size)).to(image.device)
        image = image / max(decoding.temperature, 1e-6)
        shares, order = image.softmax(1).sort(1, descending=True)
        # Nucleus sampling (Holtzman et al. 2020): the fewest ids that together reach `top_p`.
        shares[shares.cumsum(1) - shares >= decoding.top_p] = 0.0
        place = torch.multinomial(shares, 1, generator=generator)
        return order.gather(1, place)[:, 0] + vocabulary.image_offset

    parts = [
        continue_prompts(model, prompts[rows], drawn, count, padding=vocabulary.padding, guidance=guidance)
        for rows in _batches(len(prompts), model.device, "Drawing")
    ]
    return torch.cat(parts).cpu().numpy() - vocabulary.image_offset
