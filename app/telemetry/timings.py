"""How long the stages of one request took: in its response, in the metrics and as spans."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.telemetry import metrics, tracing


class Timings:
    """Wall-clock time by stage, in milliseconds. A stage that runs several times at once counts from its first
    start to its last end.
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._spans: dict[str, tuple[float, float]] = {}

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
            first, last = self._spans.get(name, (start, end))
            self._spans[name] = (min(first, start), max(last, end))

    def note(self, name: str, seconds: float) -> None:
        """A stage that was timed elsewhere and has just ended; the first of several counts."""
        end = time.perf_counter()
        metrics.STAGE_SECONDS.labels(stage=name).observe(seconds)
        self._spans.setdefault(name, (end - seconds, end))

    def milliseconds(self) -> dict[str, float]:
        """Every stage so far, and `total` since the request began."""
        spans = {name: round((end - start) * 1000.0, 1) for name, (start, end) in self._spans.items()}
        return {**spans, "total": round((time.perf_counter() - self._started) * 1000.0, 1)}
