"""Measurements on a noisy machine: contenders interleaved, medians with their spread, ratios within a round."""

import asyncio
import contextlib
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar


@dataclass(frozen=True)
class Spread:
    """Median, least and most of several values."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def from_values(cls, values: Sequence[float]) -> "Spread":
        """Raises ValueError where there is no value."""
        if not values:
            raise ValueError("a spread needs a value")
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Ratio:
    """A ratio that was asked for: its values by round, and what it shall reach. `at_most` turns the goal round."""

    name: str
    spread: Spread
    goal: float
    stretch: float
    at_most: bool = False

    @property
    def reached(self) -> str:
        """`stretch`, `yes` or `no`, by the median."""
        sign = -1.0 if self.at_most else 1.0
        value = sign * self.spread.median
        if value >= sign * self.stretch:
            return "stretch"
        return "yes" if value >= sign * self.goal else "no"


@dataclass(frozen=True)
class Result:
    """What one scenario found. `figures` are numbers and series by name, as they go into its JSON."""

    scenario: str
    title: str
    figures: dict[str, Any]
    ratios: tuple[Ratio, ...] = ()
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the file; each ratio with whether it is reached."""
        ratios = [{**asdict(ratio), "reached": ratio.reached} for ratio in self.ratios]
        return {**asdict(self), "ratios": ratios}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Result":
        """The result in a file that `as_json` was written to."""
        ratios = tuple(
            Ratio(**{**ratio, "spread": Spread(**ratio["spread"])})
            for ratio in ({key: value for key, value in each.items() if key != "reached"} for each in content["ratios"])
        )
        figures = _with_numbers(content["figures"])
        return cls(content["scenario"], content["title"], figures, ratios, content["note"])


def _with_numbers(value: Any) -> Any:
    """JSON knows no numbers as keys."""
    if not isinstance(value, dict):
        return value
    return {int(key) if key.isdigit() else key: _with_numbers(inner) for key, inner in value.items()}


T = TypeVar("T")
Run = Callable[[int], Awaitable[float]]


async def in_turn(contenders: Mapping[str, Callable[[int], Awaitable[T]]], rounds: int) -> dict[str, list[T]]:
    """One value of each contender a round, A B, B A, A B ...: a drift of the machine's speed affects all alike.

    Each is called with the number of the round.
    """
    found: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(rounds):
        order = list(contenders.items())
        for name, run in order if number % 2 == 0 else reversed(order):
            found[name].append(await run(number))
    return found


def by_round(above: Sequence[float], below: Sequence[float]) -> Spread:
    """Spread of the ratios of values that were measured in the same round."""
    return Spread.from_values([one / other for one, other in zip(above, below, strict=True)])


async def timed(work: Awaitable[object]) -> float:
    """Seconds that `work` takes."""
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """The garbage collector of this process, whose pauses a client would take for the server's, is off in the block."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def closed_loop(
    request: Callable[[int], Awaitable[float]], clients: int, count: int
) -> tuple[float, list[float]]:
    """`count` requests of `clients` that never pause: seconds in all, and those of each request."""
    numbers = iter(range(count))
    latencies: list[float] = []

    async def client() -> None:
        for number in numbers:
            latencies.append(await request(number))

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return time.perf_counter() - started, latencies
