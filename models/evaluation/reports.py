"""Generated texts against the labels of the index."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from models.vocabulary import Vocabulary

_BATCH = 32


def write(
    model: PreTrainedModel, vocabulary: Vocabulary, prompts: Sequence[Sequence[int]], max_tokens: int = 48
) -> list[str]:
    """Greedy texts for prompts of equal length, with text ids only, as the server decodes."""
    refused = [*range(vocabulary.image_offset, vocabulary.size), *sorted(vocabulary.controls - {vocabulary.end})]
    texts: list[str] = []
    for start in range(0, len(prompts), _BATCH):
        ids = torch.tensor(prompts[start : start + _BATCH])
        found = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=max_tokens,
            do_sample=False,
            eos_token_id=vocabulary.end,
            pad_token_id=vocabulary.padding,
            suppress_tokens=refused,
        )
        texts.extend(vocabulary.decode(row.tolist()).strip() for row in found[:, ids.shape[1] :])
    return texts


def balanced_accuracy(truth: Sequence[str], stated: Sequence[str | None]) -> float:
    """Mean recall over the classes that occur in `truth`."""
    recalls = []
    for label in sorted(set(truth)):
        rows = [index for index, value in enumerate(truth) if value == label]
        recalls.append(sum(stated[index] == label for index in rows) / len(rows))
    return float(np.mean(recalls))


def macro_f1(truth: Sequence[str], stated: Sequence[str | None]) -> float:
    """Mean F1 over the classes that occur in `truth`."""
    scores = []
    for label in sorted(set(truth)):
        hits = sum(t == label == s for t, s in zip(truth, stated, strict=True))
        wrong = sum((t == label) != (s == label) for t, s in zip(truth, stated, strict=True))
        scores.append(2 * hits / (2 * hits + wrong))
    return float(np.mean(scores))


def interval(
    score: Callable[[Sequence[str], Sequence[str | None]], float],
    truth: Sequence[str],
    stated: Sequence[str | None],
    draws: int = 1000,
) -> tuple[float, float]:
    """95 % bootstrap interval of `score` over resampled rows, classes kept in proportion."""
    rng = np.random.default_rng(0)
    groups = [[i for i, value in enumerate(truth) if value == label] for label in sorted(set(truth))]
    values = []
    for _ in range(draws):
        rows = np.concatenate([rng.choice(group, len(group)) for group in groups])
        values.append(score([truth[i] for i in rows], [stated[i] for i in rows]))
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)
