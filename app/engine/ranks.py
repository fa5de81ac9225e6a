"""Which of several engines takes a request, and when each last gave something.

Each engine of a data-parallel model ("rank", in vLLM's words) is whole, with slots, KV cache and prefix cache of its
own. vLLM has a balancer, too; ours knows the rank of every request, which the rows of a guided drawing have to share.
"""

import contextlib
import time
from collections.abc import Iterator


class Ranks:
    """The requests under way at each of `count` engines."""

    def __init__(self, count: int) -> None:
        self._under_way = [0] * count
        self._given = [0] * count
        self._answered = [0.0] * count

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._under_way)))

    @contextlib.contextmanager
    def taken(self, rank: int | None = None, requests: int = 1) -> Iterator[int]:
        """So many requests are under way at `rank`, or where the fewest are; of equal ones, where fewest have been."""
        if rank is None:
            rank = min(self, key=lambda one: (self._under_way[one], self._given[one]))
        self._under_way[rank] += requests
        self._given[rank] += requests
        try:
            yield rank
        finally:
            self._under_way[rank] -= requests

    def note(self, rank: int) -> None:
        """An engine has given something."""
        self._answered[rank] = time.monotonic()

    def silent_since(self, moment: float) -> list[int]:
        """The engines that have given nothing since a monotonic time."""
        return [rank for rank in self if self._answered[rank] < moment]
