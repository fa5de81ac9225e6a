"""Texts that end an answer: it is given up to the first of them."""

from collections.abc import Sequence


def cut(text: str, stops: Sequence[str]) -> str | None:
    """The text before the first stop; None where there is none in it."""
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return text[: min(places)] if places else None


def certain(text: str, stops: Sequence[str]) -> str:
    """As much of a growing text as no stop can begin in any more."""
    longest = max(
        (length for stop in stops for length in range(1, len(stop)) if text.endswith(stop[:length])), default=0
    )
    return text[: len(text) - longest]
