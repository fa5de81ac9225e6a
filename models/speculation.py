"""Speculative drawing by Jacobi iteration, exact and without a draft model, in a plain loop.

Each pass of the model reads the last certain code and a window of guessed ones behind it, and says at once how every
next code of the window is distributed. What a place was guessed from (`before`) and what the model says of it now
(`after`) are drawn from together by a `Coupling`: as long as the codes stay as they were guessed, what the model said
of the next place was said behind the right codes. The first code that changes is right too, and ends the pass; what
lies behind it is guessed anew for the next one (Teng et al. 2024, speculative Jacobi decoding).

The codes are distributed as those that are drawn one after the other, by every `Coupling`. Couplings differ in how many
codes stay, and so in the passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from models.bundle import Decoding
from models.vocabulary import Vocabulary


class Coupling(Protocol):
    """Draws codes by `after` where codes were guessed by `before`, both shares (N, codes) of the places (N,)."""

    def first(self, after: Tensor, places: Tensor) -> Tensor:
        """Codes (N,) of places that were not guessed."""

    def again(self, guessed: Tensor, before: Tensor, after: Tensor, places: Tensor) -> Tensor:
        """Codes (N,), of which some are as `guessed`."""

    def guesses(self, drawn: Tensor, after: Tensor, places: Tensor) -> Tensor:
        """Codes (N,) to guess where `drawn` was drawn behind codes that have changed."""


class MaximalCoupling:
    """A code stays with probability min(1, after/before); else one is drawn of what `after` has more of.

    That is the rule of speculative sampling (Leviathan et al. 2023); no rule keeps more. Guesses are kept by it too.
    """

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def first(self, after: Tensor, places: Tensor) -> Tensor:
        """Codes by chance."""
        return torch.multinomial(after, 1, generator=self._generator)[:, 0]

    def again(self, guessed: Tensor, before: Tensor, after: Tensor, places: Tensor) -> Tensor:
        """The guessed codes where the rule keeps them."""
        had, has = (shares.gather(1, guessed[:, None])[:, 0] for shares in (before, after))
        gained = (after - before).clamp_min(0.0)
        # Where nothing is gained both are the same but for rounding.
        same = gained.sum(1) <= 0.0
        stays = same | (torch.rand(len(guessed), generator=self._generator, dtype=after.dtype) * had < has)
        drawn = torch.multinomial(torch.where(same[:, None], after, gained), 1, generator=self._generator)[:, 0]
        return torch.where(stays, guessed, drawn)

    def guesses(self, drawn: Tensor, after: Tensor, places: Tensor) -> Tensor:
        """What was drawn: it is often as it was guessed before."""
        return drawn


class FreshGuesses(MaximalCoupling):
    """As `MaximalCoupling`, but all that is not certain is guessed anew, as first described (Teng et al. 2024)."""

    def guesses(self, drawn: Tensor, after: Tensor, places: Tensor) -> Tensor:
        """Codes by chance."""
        return self.first(after, places)


class FixedNoise:
    """Each place has its own noise, and takes the code whose log-share plus noise is largest (Gumbel 1954).

    The codes are the very ones that are drawn one after the other by the same noise.
    """

    def __init__(self, seed: int, count: int, codes: int) -> None:
        uniform = torch.rand(count, codes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        self._noise = -torch.log(-torch.log(uniform))

    def first(self, after: Tensor, places: Tensor) -> Tensor:
        """Codes by the noise of their places."""
        return (after.log() + self._noise[places]).argmax(1)

    def again(self, guessed: Tensor, before: Tensor, after: Tensor, places: Tensor) -> Tensor:
        """The same: what was guessed plays no part."""
        return self.first(after, places)

    def guesses(self, drawn: Tensor, after: Tensor, places: Tensor) -> Tensor:
        """What was drawn."""
        return drawn


@dataclass(frozen=True)
class Speculated:
    """The codes of one drawing, and how many passes of the model they took."""

    codes: list[int]
    passes: int


def nucleus(logits: Tensor, decoding: Decoding) -> Tensor:
    """Shares of the codes by logits (N, codes), 0 outside the nucleus (Holtzman et al. 2020): float64 (N, codes).

    Raises ValueError where no code can be drawn: logits that are not numbers, or a nucleus without any.
    """
    shares, order = (logits.double() / max(decoding.temperature, 1e-6)).softmax(1).sort(1, descending=True)
    shares[shares.cumsum(1) - shares >= decoding.top_p] = 0.0
    kept = torch.zeros_like(shares).scatter_(1, order, shares)
    shares = kept / kept.sum(1, keepdim=True)
    if not shares.isfinite().all():
        raise ValueError("no code can be drawn: the logits are not finite numbers, or the nucleus is empty")
    return shares


@torch.inference_mode()
def draw_speculatively(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    prompt: Sequence[int],
    decoding: Decoding,
    count: int,
    coupling: Coupling,
    window: int,
) -> Speculated:
    """Draw `count` codes behind a prompt that ends with the opening of an image, of which at most `window` are guessed.

    With a window of 0 one code is drawn after the other.
    """
    offset = vocabulary.image_offset
    past, reading = DynamicCache(), list(prompt)
    found: list[int] = []
    guessed = torch.empty(0, dtype=torch.int64)
    before = torch.empty(0, vocabulary.codebook_size, dtype=torch.float64)
    passes = 0
    while len(found) < count:
        ids = torch.tensor([[*reading, *(offset + guessed).tolist()]])
        out = model(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=len(guessed) + 1)
        passes += 1
        after = nucleus(out.logits[0, :, offset : vocabulary.size].float(), decoding)
        places = torch.arange(len(found), len(found) + len(after))
        drawn = coupling.again(guessed, before, after[:-1], places[:-1])
        same = int((drawn == guessed).long().cumprod(0).sum())
        drawn = torch.cat([drawn, coupling.first(after[-1:], places[-1:])])
        found += drawn[: same + 1].tolist()
        if same < len(guessed):
            past.crop(same - len(guessed))
        reading = [offset + found[-1]]
        # Behind what is certain: guesses for the places that the model has said something of, then for as many more.
        before, drawn, places = after[same + 1 :], drawn[same + 1 :], places[same + 1 :]
        guessed = coupling.guesses(drawn, before, places)
        # One code less than is missing: each pass says one code more than it reads.
        size = max(0, min(window, count - len(found) - 1))
        guessed, before = guessed[:size], before[:size]
        if len(guessed) < size:
            beyond = torch.arange(len(found) + len(guessed), len(found) + size)
            unknown = after[-1:].expand(len(beyond), -1)
            guessed = torch.cat([guessed, coupling.first(unknown, beyond)])
            before = torch.cat([before, unknown])
    return Speculated(found[:count], passes)
