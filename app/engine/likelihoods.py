"""How likely ids were, out of what vLLM tells of a place: a mapping from ids to what it knows of each."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from app.engine.protocol import Place
from app.errors import WorkerFailed


class Likelihood(Protocol):
    """vLLM's `Logprob`."""

    logprob: float


Told = Sequence[Mapping[int, Likelihood]] | None
_UNKNOWN = "The language-model engine did not say how likely the answers are."


def first_place(told: Told, ids: Sequence[int]) -> tuple[float, ...]:
    """How likely each of `ids` was in the first place. Raises WorkerFailed where it was not told."""
    found = told[0] if told else {}
    if any(token not in found for token in ids):
        raise WorkerFailed(_UNKNOWN)
    return tuple(found[token].logprob for token in ids)


def places(told: Told, ids: Sequence[int], top: int) -> tuple[Place, ...]:
    """The places of generated ids, with up to `top` of the likeliest of each. Raises WorkerFailed as `first_place`."""
    if len(told or ()) != len(ids) or any(token not in found for token, found in zip(ids, told or (), strict=True)):
        raise WorkerFailed(_UNKNOWN)
    made = []
    for token, found in zip(ids, told or (), strict=True):
        # vLLM tells the id that it took besides, which may be none of the likeliest.
        ordered = sorted(((other, one.logprob) for other, one in found.items()), key=lambda item: -item[1])
        made.append(Place(found[token].logprob, tuple(ordered[:top])))
    return tuple(made)
