"""How long the stages of one request took: in its response, in the metrics and as spans."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.telemetry import metrics, tracing

# A begin and an end, in seconds of the performance counter.
_Span = tuple[float, float]


class Timings:
    """Wall-clock time by stage, in milliseconds: while it ran at least once, where several times."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._spans: dict[str, list[_Span]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the enclosed block as `name`."""
        start = time.perf_counter()
        try:
            with tracing.span(name):
                yield
        finally:
            end = time.perf_counter()
            metrics.STAGE_SECONDS.labels(stage=name).observe(end - start)
            self._spans.setdefault(name, []).append((start, end))

    def note(self, name: str, seconds: float) -> None:
        """A stage that was timed elsewhere and has just ended; the first of several counts."""
        end = time.perf_counter()
        metrics.STAGE_SECONDS.labels(stage=name).observe(seconds)
        self._spans.setdefault(name, [(end - seconds, end)])

    def milliseconds(self) -> dict[str, float]:
        """Every stage so far, and `total` since the request began."""
        stages = {name: round(_covered(spans) * 1000.0, 1) for name, spans in self._spans.items()}
        return {**stages, "total": round((time.perf_counter() - self._started) * 1000.0, 1)}


def _covered(spans: Sequence[_Span]) -> float:
    covered, until = 0.0, 0.0
    for start, end in sorted(spans):
        covered += max(end - max(start, until), 0.0)
        until = max(until, end)
    return covered
