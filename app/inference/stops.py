"""Texts that end an answer: it is given up to the first of them."""

from collections.abc import Sequence


def cut(text: str, stops: Sequence[str]) -> str | None:
    """The text before the first stop; None where there is none in it."""
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return text[: min(places)] if places else None


def certain(text: str, stops: Sequence[str]) -> str:
    """As much of a growing text as no stop can begin in any more."""
    longest = max((_begun(text, stop) for stop in stops), default=0)
    return text[: len(text) - longest]


def _begun(text: str, stop: str) -> int:
    """How much of a stop's beginning is the text's end."""
    most = min(len(text), len(stop) - 1)
    return next((length for length in range(most, 0, -1) if text.endswith(stop[:length])), 0)
