"""Which rows of the output layer a step needs: those of the ids that its requests can be given.

The output layer multiplies by a row for each id of the vocabulary. A drawing can use 1,024 of 51,305, a text the
others, so a step that only draws leaves 98 % of the product out (a third of its time, docs/benchmarks/profiles.md).
"""

from collections.abc import Mapping

import torch
from torch.nn import functional

from app.engine.rows import Mask

_REFUSED = float("-inf")


class OutputRows:
    """The windows of the rows of the next step's batch.

    The logits processor says them, before each step; the output layer takes them, once. What else asks for logits, as
    do the log-likelihoods of a prompt, finds none and multiplies by all rows.
    """

    def __init__(self) -> None:
        self.size = 0
        self._masks: Mapping[int, Mask] | None = None
        # The first id of the logits that were computed last, None where they are of the whole vocabulary.
        self.base: int | None = None

    def expect(self, masks: Mapping[int, Mask]) -> None:
        """Say the masks of a step's rows, by their number; a row without one needs the whole vocabulary."""
        self._masks = masks

    def logits(self, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor | None:
        """Logits of hidden vectors (N, H) by `weight` (vocabulary, H); None where the whole vocabulary is needed.

        (N, W) where all rows have one window, beginning at the id `base`; else (N, vocabulary), -inf outside of each
        row's window.
        """
        masks, self._masks, self.base = self._masks, None, None
        if not masks or len(hidden) != self.size:
            return None
        windows: dict[tuple[int, int], list[int]] = {}
        for number in range(self.size):
            mask = masks.get(number)
            windows.setdefault((0, len(weight)) if mask is None else (mask.low, mask.high), []).append(number)
        if len(windows) == 1:
            ((low, high),) = windows
            self.base = low
            return functional.linear(hidden, weight[low:high])
        found = hidden.new_full((len(hidden), len(weight)), _REFUSED)
        for (low, high), numbers in windows.items():
            found[numbers, low:high] = functional.linear(hidden[numbers], weight[low:high])
        return found
