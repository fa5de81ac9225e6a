"""What the service needs of a language-model engine."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from models.watermark import Watermark

FinishReason = Literal["stop", "length"]
# Of a place in a prompt: one of them is another than the id that is there.
LIKELIEST = 2


class Kind(StrEnum):
    """What a generation may consist of: text ids only, image ids only, or both until the end token."""

    TEXT = "text"
    IMAGE = "image"
    ANY = "any"


@dataclass(frozen=True)
class Sampling:
    """How to sample. An image generation always yields exactly `max_tokens` ids."""

    temperature: float
    top_p: float
    max_tokens: int
    seed: int


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance of an image generation (Ho and Salimans 2022): ids are drawn from
    `without + scale * (asked - without)`, where `without` are the logits behind `prompt`. It takes a second slot.
    """

    prompt: tuple[int, ...]
    scale: float


@dataclass(frozen=True)
class Marking:
    """The watermark of an image generation, and the place in the grid of the first id that it draws."""

    watermark: Watermark
    first: int = 0


@dataclass(frozen=True)
class Generation:
    """One request to the engine. `cache_salt` keeps the prefix caches of different clients apart; of those that wait,
    the ones of the lowest `priority` begin first. `scored` are ids of which it is asked how likely each was to be the
    first of the answer; `top_logprobs`, how many of the likeliest ids are to be told of every place, None: nothing of
    any place.
    """

    request_id: str
    prompt: tuple[int, ...]
    kind: Kind
    sampling: Sampling
    cache_salt: str | None = None
    priority: int = 0
    guidance: Guidance | None = None
    marking: Marking | None = None
    scored: tuple[int, ...] = ()
    top_logprobs: int | None = None


@dataclass(frozen=True)
class Place:
    """How likely the id of one place of an answer was, and which ids were the likeliest there, most likely first: as
    logarithms of their probability at temperature 1, among the ids of the generation's kind where the model is run by
    our own class on a CPU, else among all.
    """

    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Delta:
    """Ids generated since the last delta; the last one carries the reason why generation ended, the first one, where it
    is known, how long the request waited for its turn, and of each of the `scored` ids the logarithm of its probability
    in the first place of the answer, at temperature 1. Mask and `top_p` may change those by one constant for all ids.
    `places` are those of the ids, where they were asked for.
    """

    ids: tuple[int, ...]
    finish_reason: FinishReason | None = None
    queue_seconds: float | None = None
    log_likelihoods: tuple[float, ...] = ()
    places: tuple[Place, ...] = ()


class Engine(Protocol):
    """A language model that generates many sequences at once."""

    @property
    def max_model_len(self) -> int:
        """Longest prompt and answer together, in tokens."""

    @property
    def alive(self) -> bool:
        """False once the engine is gone for good."""

    async def start(self) -> None:
        """Load the model; returns when requests can be served."""

    def generate(self, generation: Generation) -> AsyncGenerator[Delta]:
        """Generate ids as they come. Closing the iterator, or cancelling its consumer, frees the slot, or both.

        Raises InvalidRequest (too long, or guided where that is not offered), Overloaded, WorkerFailed, EngineDead, and
        GenerationAborted where the engine itself ended it.
        """

    async def log_likelihoods(
        self, request_id: str, prompt: tuple[int, ...], count: int, cache_salt: str | None = None, priority: int = 0
    ) -> list[float]:
        """The logarithm of the probability of each of the prompt's last `count` ids behind those before it, at
        temperature 1 and without a mask. What precedes them is read from the prefix cache where it is there.

        `cache_salt` and `priority` are as of a generation. Raises as `generate`.
        """

    async def likeliest(
        self, request_id: str, prompt: tuple[int, ...], count: int, cache_salt: str | None = None, priority: int = 0
    ) -> list[tuple[int, ...]]:
        """Of each of the prompt's last `count` places, the `LIKELIEST` ids behind those before it, the likeliest first.

        Otherwise as `log_likelihoods`.
        """

    async def probe(self) -> None:
        """See that the engine generates: a token for the probe, or lately any request's.

        Raises Unavailable, Overloaded, EngineDead.
        """

    async def close(self) -> None:
        """Stop; running generations end with EngineDead."""
