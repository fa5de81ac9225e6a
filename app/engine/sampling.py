"""Nucleus sampling without a sort, for the CPU engine.

vLLM's CPU sampler sorts the whole vocabulary to find a nucleus and draws a random number for each id of it. Here an
id is drawn from the whole distribution and taken if it lies in the nucleus, that is, if all likelier ids together have
less than `top_p`; otherwise the next random number tries. What is taken is distributed as nucleus sampling (Holtzman
et al. 2020) prescribes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Below it nothing changes, and a logit divided by less than 1e-37 is infinite.
_LEAST_TEMPERATURE = 1e-6
# A nucleus that holds at least `top_p` takes an id with at least that probability.
_ATTEMPTS = 16


@dataclass(frozen=True)
class TokenDraw:
    """How the ids of one generation are drawn; `temperature` is above 0."""

    temperature: float
    top_p: float
    seed: int


def uniforms(seed: int, step: int, count: int = _ATTEMPTS) -> np.ndarray:
    """Random numbers in [0, 1) that belong to a step of a seed, whatever was drawn before: float64 (count,).

    Philox is made for counting (Salmon et al. 2011): an id does not depend on the batch or on an earlier attempt.
    """
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, step, 0])).random(count)


def sample(logits: Tensor, draws: Sequence[TokenDraw], steps: Sequence[int]) -> Tensor:
    """One column of logits (N, W) a row, by its temperature, its nucleus and its random numbers: int64 (N,)."""
    device = logits.device
    temperatures = torch.tensor(
        [max(draw.temperature, _LEAST_TEMPERATURE) for draw in draws], dtype=torch.float32, device=device
    )
    nuclei = torch.tensor([draw.top_p for draw in draws], dtype=torch.float32, device=device)
    rows = [uniforms(draw.seed, step) for draw, step in zip(draws, steps, strict=True)]
    numbers = torch.from_numpy(np.stack(rows)).to(device)
    shares = (logits / temperatures[:, None]).softmax(-1)
    sums = shares.cumsum(-1, dtype=torch.float64)
    taken = torch.empty(len(draws), dtype=torch.int64, device=device)
    open_rows = torch.arange(len(draws), device=device)
    for attempt in range(_ATTEMPTS):
        # Up to the last sum and not to 1, which rounding may miss.
        targets = numbers[open_rows, attempt] * sums[open_rows, -1]
        found = torch.searchsorted(sums[open_rows], targets[:, None], right=True).squeeze(-1)
        found = found.clamp_(max=logits.shape[-1] - 1)
        candidates = shares[open_rows]
        own = candidates.gather(1, found[:, None])
        likelier = (candidates * (candidates > own)).sum(-1)
        inside = likelier < nuclei[open_rows]
        taken[open_rows[inside]] = found[inside]
        open_rows = open_rows[~inside]
        if not len(open_rows):
            return taken
    for row in open_rows.tolist():
        taken[row] = _by_sorting(shares[row], float(nuclei[row]), float(numbers[row, 0]))
    return taken


def _by_sorting(shares: Tensor, top_p: float, number: float) -> int:
    """The same of one row, for a nucleus so small that hardly any number meets it."""
    ordered, ids = shares.sort(descending=True)
    sums = ordered.cumsum(-1, dtype=torch.float64)
    size = int((sums - ordered < top_p).sum().clamp_(min=1))
    place = int(torch.searchsorted(sums[:size], number * float(sums[size - 1]), right=True))
    return int(ids[min(place, size - 1)])
