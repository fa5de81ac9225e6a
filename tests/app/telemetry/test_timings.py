"""How long stages took, whether they ran once, one after another or at once."""

import pytest

from app.telemetry import timings
from app.telemetry.timings import Timings


class Clock:
    """A performance counter that is set."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def perf_counter(self) -> float:
        """The time that is set."""
        return self.seconds


@pytest.mark.parametrize(
    ("spans", "milliseconds"),
    [
        ([(0, 1)], 1000.0),
        ([(0, 1), (5, 6)], 2000.0),
        ([(0, 4), (1, 2)], 4000.0),
        ([(0, 2), (1, 3)], 3000.0),
        ([(0, 2), (1, 3), (7, 8)], 4000.0),
    ],
    ids=["once", "again later", "within", "overlapping", "all"],
)
def test_a_stage_counts_while_it_runs_at_least_once(
    spans: list[tuple[int, int]], milliseconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(timings, "time", clock)
    measured = Timings()
    moments = sorted({moment for span in spans for moment in span})
    running = {span: measured.stage("generate") for span in spans}
    for moment in moments:
        clock.seconds = 100.0 + moment
        for (begin, end), stage in running.items():
            if begin == moment:
                stage.__enter__()
            if end == moment:
                stage.__exit__(None, None, None)
    assert measured.milliseconds()["generate"] == milliseconds
