"""A time limit: how many steps of a phase fit into it, by measurement."""

import math
import time
from typing import Protocol

from models.training.loop import Trainer

_WARM = 3
_TIMED = 8
# The share of a phase's time that the measurement may take.
_TRIED = 0.04
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
        self.begun = time.monotonic()
        self.end = self.begun + 60 * minutes if minutes else math.inf

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return self.end < math.inf

    def until(self, share: float) -> float:
        """The moment of `time.monotonic` at which `share` of what is left now is used; infinite without a limit."""
        now = time.monotonic()
        return now + share * max(0.0, self.end - now) if self.limited else math.inf

    def within(self, share: float) -> float:
        """The moment of `time.monotonic` at which `share` of the whole time has passed from now, at the end at most;
        infinite without a limit.
        """
        return min(self.end, time.monotonic() + share * (self.end - self.begun)) if self.limited else math.inf


def seconds_of(trainer: Trainer, recipe: Scalable, allowance: float = 0.0) -> float:
    """How long the recipe takes, from a few steps of each of its phases by a `trainer` that is thrown away then.

    Each phase is tried for `allowance` seconds, the first half of which does not count: worker processes need seconds
    to start, and a rate measured meanwhile was a third of the true one.
    """
    starts = recipe.phases()
    total = 0.0
    for start, end in zip(starts, (*starts[1:], recipe.steps), strict=True):
        trainer.step = start
        _steps(trainer, _WARM, allowance / 2)
        begun = time.monotonic()
        counted = _steps(trainer, _TIMED, allowance / 2)
        total += (time.monotonic() - begun) / counted * (end - start)
    return total


def _steps(trainer: Trainer, fewest: int, seconds: float) -> int:
    """Advance at least `fewest` steps and `seconds`; returns how many steps were done."""
    done, end = 0, time.monotonic() + seconds
    while done < fewest or time.monotonic() < end:
        trainer.advance()
        done += 1
    return done


def factor_within(trainer: Trainer, recipe: Scalable, until: float) -> float:
    """How many times the recipe fits between now, the measurement included, and `until`."""
    allowance = _TRIED * max(0.0, until - time.monotonic()) / len(recipe.phases())
    needed = seconds_of(trainer, recipe, allowance)
    return max(0.0, until - time.monotonic()) * _PLANNED / max(needed, 1e-9)
