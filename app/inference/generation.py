"""One generation: what a client may ask of it, its ids as they come, timed and accounted."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from math import fsum
from typing import Literal

from app.concurrency import gather_or_cancel
from app.engine import Delta, Engine, Generation, Guidance, Kind, Marking, Sampling
from app.engine.protocol import FinishReason
from app.errors import GenerationAborted
from app.ids import new_id, new_seed
from app.telemetry.timings import Timings
from models.bundle import Decoding

Screening = Literal["on", "off", "unneeded"]
# Of the many requests of one map, behind interactive ones and before studies.
EVIDENCE = 5
BACKGROUND = 10  # vLLM's priority of a study's generation: interactive requests have 0 and are scheduled first


@dataclass(frozen=True)
class Caller:
    """Whom a generation is for: what keeps its prefix cache apart, its priority, what sets its tokens aside and is then
    told how many they were, and whether its images are looked at: `off` was asked for, `unneeded` where nothing is
    reported on them.
    """

    cache_salt: str | None = None
    priority: int = 0
    reserve: Callable[[int], Callable[[int], None]] | None = None
    screening: Screening = "on"


@dataclass(frozen=True)
class Options:
    """What a client may set of the sampling; unset fields are the bundle's defaults, an unset seed is random."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    caller: Caller = field(default_factory=Caller)
    stop: tuple[str, ...] = ()
    # Of drawings; 1 is none.
    guidance_scale: float | None = None
    # How many candidates of each drawing are made.
    best_of: int = 1
    # Of texts: how many of the likeliest tokens are told of every place; None: nothing is.
    top_logprobs: int | None = None

    def sampling(self, defaults: Decoding, *, tokens: int | None = None, index: int = 0) -> Sampling:
        """Sampling of the `index`-th of several generations; `tokens` fixes their length."""
        seed = new_seed() if self.seed is None else (self.seed + index) % 2**31
        return Sampling(
            temperature=defaults.temperature if self.temperature is None else self.temperature,
            top_p=defaults.top_p if self.top_p is None else self.top_p,
            max_tokens=tokens or self.max_tokens or defaults.max_tokens,
            seed=seed,
        )


@dataclass(frozen=True)
class Usage:
    """Tokens in and out of one generation. `image_tokens` counts those of the prompt that are an image's.

    A guided drawing is computed twice, and so counted: both prompts, and the drawn ids of both rows.
    """

    prompt_tokens: int
    image_tokens: int
    completion_tokens: int

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.image_tokens + other.image_tokens,
            self.completion_tokens + other.completion_tokens,
        )


async def stream(
    engine: Engine,
    prompt: Sequence[int],
    kind: Kind,
    sampling: Sampling,
    caller: Caller,
    timings: Timings,
    counted: int | None = None,
    guidance: Guidance | None = None,
    marking: Marking | None = None,
    scored: Sequence[int] = (),
    top_logprobs: int | None = None,
) -> AsyncGenerator[Delta]:
    """Ids as they come. Closing the iterator ends the generation; what was read and written by then is counted:
    `counted` tokens of the prompts, as the usage of the answer has them (unset: all), and what both rows of a guided
    one have written.

    Raises RateLimited where the client's tokens of the day do not reach for the longest answer, GenerationAborted where
    it ends without a reason, and as the engine does.
    """
    salt, priority = caller.cache_salt, caller.priority
    row = (sampling, salt, priority, guidance, marking, tuple(scored), top_logprobs)
    generation = Generation(new_id(), tuple(prompt), kind, *row)
    rows = 1 if guidance is None else 2
    read = len(prompt) + (len(guidance.prompt) if guidance else 0) if counted is None else counted
    settle = caller.reserve(read + rows * sampling.max_tokens) if caller.reserve is not None else None
    started, written, given_up, reason = time.perf_counter(), 0, False, None
    try:
        async with aclosing(engine.generate(generation)) as deltas:
            async for delta in deltas:
                if not written:
                    timings.note("first_token", time.perf_counter() - started)
                    if delta.queue_seconds is not None:
                        timings.note("queue", delta.queue_seconds)
                written += len(delta.ids)
                reason = delta.finish_reason
                yield delta
        if reason is None:
            raise GenerationAborted
    except (GeneratorExit, asyncio.CancelledError):
        given_up = True
        raise
    finally:
        if settle is not None:
            # Who gives up has been computed for, as far as anybody knows; whom the engine refuses has not.
            settle(read + rows * written if written or given_up else 0)


async def log_likelihood(engine: Engine, prompt: Sequence[int], ids: Sequence[int], caller: Caller) -> float:
    """The mean logarithm of the probability of each of `ids` behind `prompt`. All are counted as read.

    Raises RateLimited, and as the engine does.
    """
    (found,) = await log_likelihoods(engine, [prompt], ids, caller)
    return found / len(ids)


async def log_likelihoods(
    engine: Engine, prompts: Sequence[Sequence[int]], ids: Sequence[int], caller: Caller, priority: int = 0
) -> list[float]:
    """The logarithm of the probability of all of `ids` behind each of `prompts`, which are computed at once, at a
    `priority` below the caller's. All are counted as read.

    Raises RateLimited, and as the engine does.
    """
    wholes = [(*prompt, *ids) for prompt in prompts]
    salt, rank = caller.cache_salt, caller.priority + priority
    with _counted(caller, sum(map(len, wholes))):
        found = await gather_or_cancel(
            engine.log_likelihoods(new_id(), whole, len(ids), salt, rank) for whole in wholes
        )
    return [fsum(each) for each in found]


async def likeliest(
    engine: Engine, prompt: Sequence[int], count: int, caller: Caller, priority: int = 0
) -> list[tuple[int, ...]]:
    """The likeliest ids in each of the prompt's last `count` places; otherwise as `log_likelihoods`."""
    with _counted(caller, len(prompt)):
        rank = caller.priority + priority
        return await engine.likeliest(new_id(), tuple(prompt), count, caller.cache_salt, rank)


@contextmanager
def _counted(caller: Caller, tokens: int) -> Iterator[None]:
    """Sets the tokens aside that the block reads, and counts them: who gives up has been computed for, whom the engine
    refuses has not. Raises RateLimited.
    """
    settle = caller.reserve(tokens) if caller.reserve is not None else None
    computed = False
    try:
        yield
        computed = True
    except asyncio.CancelledError:
        computed = True
        raise
    finally:
        if settle is not None:
            settle(tokens if computed else 0)


async def collect(deltas: AsyncIterator[Delta]) -> tuple[list[int], FinishReason]:
    """All ids of a generation and why it ended."""
    ids: list[int] = []
    reason: FinishReason = "length"
    async for delta in deltas:
        ids.extend(delta.ids)
        reason = delta.finish_reason or reason
    return ids, reason
