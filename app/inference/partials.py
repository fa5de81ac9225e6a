"""Partial images: after which rows they are made, how they are filled up and faded, and how much time they may take."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from app.telemetry.metrics import DRAWINGS_IN_FLIGHT

_SHARE = 0.05
_BURST_SECONDS = 0.5
_FREE_DRAWINGS = 2
_FIRST_GUESS_SECONDS = 0.1


def partial_rows(rows: int, kept: int, partials: int) -> list[int]:
    """Numbers of finished rows at which a partial image is made: at equal distances from what was kept to the whole."""
    steps = {kept + round((rows - kept) * step / (partials + 1)) for step in range(1, partials + 1)}
    return sorted(step for step in steps if kept < step < rows)


def fill(codes: Sequence[int], rows: int, columns: int) -> list[int]:
    """The codes of whole rows, and below them the last one repeated until the image is full.

    Of the fillings that were measured this is the closest to the finished image: docs/benchmarks/fillings.md.
    """
    whole = list(codes[: len(codes) // columns * columns])
    missing = rows - len(whole) // columns
    return whole + whole[-columns:] * missing


def fade(pixels: np.ndarray, rows: int, of_rows: int) -> np.ndarray:
    """Darken what is not drawn yet, uint8 (H, W): it has to look unfinished, not wrong."""
    height = pixels.shape[0]
    begin = height * rows // of_rows
    shown = pixels.astype(np.float32)
    depth = np.linspace(0.6, 0.15, max(1, height - begin), dtype=np.float32)[: height - begin]
    shown[begin:] *= depth[:, None]
    return shown.astype(np.uint8)


class PartialBudget:
    """Admits partial images: all of them up to two drawings at once, otherwise a twentieth of the time.

    OpenAI's API allows fewer of them than were asked for.
    """

    def __init__(self) -> None:
        self._allowance = _BURST_SECONDS
        self._at = time.monotonic()
        self._cost = _FIRST_GUESS_SECONDS
        self._drawings = 0

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """The block is a drawing under way."""
        self._drawings += 1
        try:
            with DRAWINGS_IN_FLIGHT.track_inprogress():
                yield
        finally:
            self._drawings -= 1

    def allows(self) -> bool:
        """Whether one more may be decoded now."""
        now = time.monotonic()
        self._allowance = min(_BURST_SECONDS, self._allowance + (now - self._at) * _SHARE)
        self._at = now
        if self._drawings <= _FREE_DRAWINGS:
            return True
        if self._allowance < self._cost:
            return False
        self._allowance -= self._cost
        return True

    def record(self, seconds: float) -> None:
        """Note how long a partial image took: a moving average is what the next one is taken to cost."""
        self._cost += (seconds - self._cost) * 0.1
