"""An engine without a model: deterministic, instant, able to fail on demand. For tests and for timing the gateway."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from functools import cache

from app.engine.protocol import Delta, Generation, Kind, Place
from app.errors import CxrError, InvalidRequest, Unavailable
from models.vocabulary import Vocabulary

# Enough for a test to inspect. All of a benchmark's requests would be a heap that the garbage collector walks.
_REMEMBERED = 64


@dataclass(frozen=True)
class Scored:
    """A prompt of which was asked how likely its last `count` ids are."""

    prompt: tuple[int, ...]
    count: int
    cache_salt: str | None
    priority: int


class FakeEngine:
    """Draws codes from the request's seed, and its guidance where it has one, and always writes the same text, unless
    `write` is set: the text of a prompt.

    `enqueue_failure` makes the next generation raise; `step_seconds` is the time per delta of `chunk` ids; while it
    `hangs`, probes are not answered. All of these may be changed while it runs.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        text: str = "The lungs are clear.",
        step_seconds: float = 0.0,
        chunk: int = 16,
        max_model_len: int = 2048,
    ) -> None:
        self._vocabulary = vocabulary
        self.text = text
        self.write: Callable[[tuple[int, ...]], str] = lambda prompt: self.text
        self._encode = cache(vocabulary.encode)
        self.step_seconds = step_seconds
        self.chunk = chunk
        self._max_model_len = max_model_len
        self._failures: list[CxrError] = []
        self.generations: deque[Generation] = deque(maxlen=_REMEMBERED)
        self.scored: deque[Scored] = deque(maxlen=2 * _REMEMBERED)
        self.running = 0
        self.hangs = False
        # How many deltas a generation has before the engine ends it, as a core does that was stopped; None: all.
        self.aborts_after: int | None = None
        self.log_likelihood: Callable[[tuple[int, ...]], float] = lambda prompt: -5.0
        # How likely an id is in the first place of an answer to a prompt, as a logarithm.
        self.first_place: Callable[[tuple[int, ...], int], float] = lambda prompt, token: -1.0
        self.alive = True

    @property
    def max_model_len(self) -> int:
        """Longest prompt and answer together, in tokens."""
        return self._max_model_len

    def enqueue_failure(self, error: CxrError) -> None:
        """Make the next generation, or probe, raise `error`."""
        self._failures.append(error)

    async def start(self) -> None:
        """Nothing to load."""

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta]:
        """Deltas of `chunk` ids."""
        if self._failures:
            raise self._failures.pop(0)
        sampling = generation.sampling
        guidance = generation.guidance
        longest = max(len(generation.prompt), len(guidance.prompt) if guidance is not None else 0)
        if longest + sampling.max_tokens > self._max_model_len:
            raise InvalidRequest("The prompt is too long.", code="prompt_too_long")
        self.generations.append(generation)
        ids, top = self._ids(generation), generation.top_logprobs
        rows = 1 if guidance is None else 2
        self.running += rows
        try:
            for start in range(0, len(ids), self.chunk):
                if self.aborts_after is not None and start >= self.aborts_after * self.chunk:
                    return
                await asyncio.sleep(self.step_seconds)
                last = start + self.chunk >= len(ids)
                reason = "length" if len(ids) == sampling.max_tokens else "stop"
                scored = () if start else generation.scored
                yield Delta(
                    tuple(ids[start : start + self.chunk]),
                    reason if last else None,  # type: ignore[arg-type]
                    log_likelihoods=tuple(self.first_place(generation.prompt, token) for token in scored),
                    places=() if top is None else self._places(ids[start : start + self.chunk], top),
                )
        finally:
            self.running -= rows

    @staticmethod
    def _places(ids: Sequence[int], top: int) -> tuple[Place, ...]:
        """Every id is the likeliest, and those behind it follow."""
        likeliest = (tuple((token + rank, -0.25 - rank) for rank in range(top)) for token in ids)
        return tuple(Place(-0.25, those) for those in likeliest)

    def _ids(self, generation: Generation) -> list[int]:
        sampling, vocabulary = generation.sampling, self._vocabulary
        if generation.kind is Kind.ANY:
            return self._unmasked(generation)
        if generation.kind is Kind.IMAGE:
            guidance = generation.guidance
            draw = random.Random(sampling.seed if guidance is None else f"{sampling.seed} {guidance}")
            return vocabulary.image_ids([draw.randrange(vocabulary.codebook_size) for _ in range(sampling.max_tokens)])
        return [*self._encode(self.write(generation.prompt)), vocabulary.end][: sampling.max_tokens]

    def _unmasked(self, generation: Generation) -> list[int]:
        """As a published model answers without a mask: text for a reading; for a drawing an image that even seeds cut
        short by one id.
        """
        sampling, vocabulary = generation.sampling, self._vocabulary
        if vocabulary.image_close in generation.prompt:
            text = self._encode(self.write(generation.prompt))
            return [vocabulary.image_offset, *text, vocabulary.end][: sampling.max_tokens]
        count = 256 - (sampling.seed % 2 == 0)
        return [vocabulary.image_open, *vocabulary.image_ids([sampling.seed % 7] * count), vocabulary.image_close]

    async def log_likelihoods(
        self, request_id: str, prompt: tuple[int, ...], count: int, cache_salt: str | None = None, priority: int = 0
    ) -> list[float]:
        """The same for every id: `log_likelihood` of the prompt, after `step_seconds`."""
        if self._failures:
            raise self._failures.pop(0)
        self.scored.append(Scored(prompt, count, cache_salt, priority))
        self.running += 1
        try:
            await asyncio.sleep(self.step_seconds)
        finally:
            self.running -= 1
        return [self.log_likelihood(prompt)] * count

    async def likeliest(
        self, request_id: str, prompt: tuple[int, ...], count: int, cache_salt: str | None = None, priority: int = 0
    ) -> list[tuple[int, ...]]:
        """In every place the id that is there, then the one before it in the vocabulary."""
        if self._failures:
            raise self._failures.pop(0)
        return [(token, token - 1) for token in prompt[-count:]]

    async def probe(self) -> None:
        """Fails only after `enqueue_failure`, and while it `hangs`."""
        if self.hangs:
            raise Unavailable("The language-model engine did not answer in time.")
        if self._failures:
            raise self._failures.pop(0)

    async def close(self) -> None:
        """Nothing to stop."""
        self.alive = False
