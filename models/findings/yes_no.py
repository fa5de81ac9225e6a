"""Yes or no as tokens, and the probability of yes."""

import math
from dataclasses import dataclass
from typing import Self

from models.prompts import Prompts


@dataclass(frozen=True)
class YesNo:
    """Two answers as token ids: those that both begin with, and the first in which they differ."""

    shared: tuple[int, ...]
    yes: int
    no: int

    @classmethod
    def from_answers(cls, prompts: Prompts, yes: str, no: str) -> Self:
        """Two answers in full. Raises ValueError where they are the same tokens."""
        first, second = prompts.written(yes), prompts.written(no)
        for place, (one, other) in enumerate(zip(first, second, strict=False)):
            if one != other:
                return cls(tuple(first[:place]), one, other)
        raise ValueError("the two answers are the same")

    @classmethod
    def beginnings(cls, prompts: Prompts) -> Self:
        """What answers to a closed question of unknown wording begin with: "Yes" and "No"."""
        return cls.from_answers(prompts, "Yes.", "No.")

    @property
    def ids(self) -> tuple[int, int]:
        """The two ids that are scored behind the shared ones."""
        return self.yes, self.no


def probability_of_yes(yes: float, no: float) -> float:
    """The probability of yes where the answer is one of the two, from their log-likelihoods: their softmax.

    What both share, a mask that allows both, and the normalisation over other ids cancel out.
    """
    # Of equals 0.5, also where the model finds both impossible.
    difference = 0.0 if yes == no else yes - no
    if difference >= 0.0:
        return 1.0 / (1.0 + math.exp(-difference))
    odds = math.exp(difference)
    return odds / (1.0 + odds)
