"""How likely a text is behind images that differ in a few codes, as the service's engine finds it."""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

_BATCH = 32
# Prompts that differ from the first one behind the same multiple of it share what is computed before.
_STEP = 32


@torch.inference_mode()
def log_likelihoods(model: PreTrainedModel, prompts: Sequence[Sequence[int]], count: int) -> np.ndarray:
    """The log-probability of the last `count` ids of every prompt together: float64 (N,).

    The prompts have one length and end alike. What they share with the first one is computed once.
    """
    ids = torch.tensor([list(prompt) for prompt in prompts], device=model.device)
    found = np.zeros(len(ids))
    whole = model(input_ids=ids[:1], use_cache=True, logits_to_keep=count + 1)
    found[:1] = _of_last(whole.logits, ids[:1], count)
    differ = (ids != ids[0]).long()
    firsts = torch.where(differ.any(1), differ.argmax(1), ids.shape[1] - count - 1) // _STEP * _STEP
    for first in sorted(set(firsts[1:].tolist())):
        rows = [row for row in range(1, len(ids)) if int(firsts[row]) == first]
        for begin in range(0, len(rows), _BATCH):
            part = rows[begin : begin + _BATCH]
            past = DynamicCache()
            for number, layer in enumerate(whole.past_key_values.layers if first else ()):
                shape = (len(part), -1, -1, -1)
                past.update(layer.keys[:, :, :first].expand(shape), layer.values[:, :, :first].expand(shape), number)
            out = model(input_ids=ids[part, first:], past_key_values=past, use_cache=True, logits_to_keep=count + 1)
            found[part] = _of_last(out.logits, ids[part], count)
    return found


def _of_last(logits: torch.Tensor, ids: torch.Tensor, count: int) -> np.ndarray:
    scores = logits[:, -count - 1 : -1].float().log_softmax(-1)
    return scores.gather(2, ids[:, -count:, None])[..., 0].double().sum(1).cpu().numpy()


@torch.inference_mode()
def likeliest_codes(model: PreTrainedModel, before: Sequence[int], codes: Sequence[int], offset: int) -> list[int]:
    """In every place of an image the likeliest code, other than the one that is there, behind `before` and the codes
    before it. Ids of codes begin at `offset`.
    """
    ids = torch.tensor([[*before, *(offset + code for code in codes)]], device=model.device)
    logits = model(input_ids=ids).logits[0, len(before) - 1 : -1, offset:].float()
    logits.scatter_(1, torch.tensor(codes, device=model.device)[:, None], -torch.inf)
    found: list[int] = logits.argmax(1).tolist()
    return found
