"""How long the stages of one request took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.telemetry import metrics


class Timings:
    """Wall-clock time by stage, in milliseconds. A stage that runs several times at once counts from its first
    start to its last end.
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._spans: dict[str, tuple[float, float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the enclosed block as `name`, here and in the metric."""
        start = time.perf_counter()
        try:
            yield
        finally:
            end = time.perf_counter()
            metrics.STAGE_SECONDS.labels(stage=name).observe(end - start)
            first, last = self._spans.get(name, (start, end))
            self._spans[name] = (min(first, start), max(last, end))

    def milliseconds(self) -> dict[str, float]:
        """Every stage so far, and `total` since the request began."""
        spans = {name: round((end - start) * 1000.0, 1) for name, (start, end) in self._spans.items()}
        return {**spans, "total": round((time.perf_counter() - self._started) * 1000.0, 1)}
