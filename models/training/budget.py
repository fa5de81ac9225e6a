"""A time limit: how many steps of a phase fit into it, by measurement."""

import math
import time
from typing import Protocol

from models.training.loop import Trainer

_WARM = 3
_TIMED = 8
# The share of its time that a phase is planned for: a machine is not equally fast all the time.
_PLANNED = 0.94


class Scalable(Protocol):
    """A recipe of a phase."""

    @property
    def steps(self) -> int:
        """Its steps."""

    def phases(self) -> tuple[int, ...]:
        """First steps of parts that differ in speed."""


class Budget:
    """The time that is left of `minutes`, unset for no limit."""

    def __init__(self, minutes: float | None = None) -> None:
        self.end = time.monotonic() + 60 * minutes if minutes else math.inf

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self.end < math.inf

    def until(self, share: float) -> float:
        """The moment of `time.monotonic` at which `share` of what is left now is used; infinite without a limit."""
        now = time.monotonic()
        return now + share * max(0.0, self.end - now) if self.limited else math.inf


def seconds_of(trainer: Trainer, recipe: Scalable) -> float:
    """How long the recipe takes, from a few steps of each of its phases by a `trainer` that is thrown away then."""
    starts = recipe.phases()
    total = 0.0
    for start, end in zip(starts, (*starts[1:], recipe.steps), strict=True):
        for counted in (False, True):
            trainer.step, begun = start, time.monotonic()
            for _ in range(_TIMED if counted else _WARM):
                trainer.advance()
            if counted:
                total += (time.monotonic() - begun) / _TIMED * (end - start)
    return total


def factor_within(trainer: Trainer, recipe: Scalable, until: float) -> float:
    """How many times the recipe fits between now, the measurement included, and `until`."""
    needed = seconds_of(trainer, recipe)
    return max(0.0, until - time.monotonic()) * _PLANNED / max(needed, 1e-9)
