"""What a running request has so far: typed events, and the stream of them that ends with the result."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from app.inference.generation import Usage
from app.inference.token_logprobs import TokenLogprob

T = TypeVar("T")


@dataclass(frozen=True)
class TextDelta:
    """The next words of the `index`-th text, and their tokens where those are asked for."""

    index: int
    text: str
    tokens: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class PartialImage:
    """The `number`-th look at the `index`-th drawing while `rows` of its rows of codes are drawn.

    `pixels` is uint8 (size, size).
    """

    index: int
    number: int
    rows: int
    pixels: np.ndarray
    seed: int


@dataclass(frozen=True)
class Reading:
    """What the model reads in a drawing of its own: its report, whether it states the condition that the request states
    (None where either states none), and how likely the request's text is as the report, by the mean logarithm of the
    probability of a token.
    """

    text: str
    agrees: bool | None
    log_likelihood: float


@dataclass(frozen=True)
class NearestFilm:
    """The film of the training split, by its row, that a drawing is most similar to, and the limit above which a
    drawing is not given.
    """

    similarity: float
    limit: float
    row: int


@dataclass(frozen=True)
class Drawing:
    """A generated radiograph: its codes, its pixels, uint8 (size, size), the scale of its guidance, 1 for none, its
    reading where it was chosen among candidates, whose usage it has then, and the nearest film, None where it was not
    compared.
    """

    codes: tuple[int, ...]
    pixels: np.ndarray
    seed: int
    usage: Usage
    index: int = 0
    guidance: float = 1.0
    reading: Reading | None = None
    nearest: NearestFilm | None = None


Event = TextDelta | PartialImage | Drawing
Emit = Callable[[Event], None]


@dataclass(frozen=True)
class Result(Generic[T]):
    """The end of a stream: what the work has come to."""

    value: T


async def stream_events(work: Callable[[Emit], Awaitable[T]]) -> AsyncGenerator[Event | Result[T]]:
    """What `work` emits while it runs, then its result. Closing the iterator cancels the work."""
    emitted: asyncio.Queue[Event | None] = asyncio.Queue()

    async def run() -> T:
        try:
            return await work(emitted.put_nowait)
        finally:
            emitted.put_nowait(None)

    task = asyncio.create_task(run())
    try:
        while (event := await emitted.get()) is not None:
            yield event
        yield Result(await task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
