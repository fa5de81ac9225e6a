"""Batches from a queue that one thread drains."""

import time
from collections.abc import Iterator
from queue import Queue, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def batches(
    source: "Queue[T | None] | SimpleQueue[T | None]", most: int, *, linger_seconds: float = 0.0
) -> Iterator[list[T]]:
    """Whatever has arrived since the last batch, up to `most` items; ends after None.

    Waits for the first item of a batch, and `linger_seconds` more for what follows it.
    """
    while (first := source.get()) is not None:
        time.sleep(linger_seconds)
        batch, ended = [first], False
        while len(batch) < most and not source.empty():
            item = source.get()
            if item is None:
                ended = True
                break
            batch.append(item)
        yield batch
        if ended:
            return
