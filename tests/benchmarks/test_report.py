"""Results as JSON, tables and plots."""

import json
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from benchmarks.measure import Ratio, Result, Spread
from benchmarks.report import write

RESULT = Result(
    "drawing",
    "Drawings at once",
    {
        "seconds": {"service": {1: vars(Spread.from_values([2.0, 3.0]))}},
        "drawings_per_second": {"service": {1: 0.5, 8: 1.0, 32: 1.5}},
        "floor": 1.25,
    },
    (Ratio("service / raw", Spread.from_values([0.93]), 0.90, 0.97),),
    "As it was.",
)


def test_a_result_becomes_json_a_page_and_a_plot(tmp_path: Path) -> None:
    write(tmp_path, [RESULT], {"machine": "a machine"})
    found = json.loads((tmp_path / "drawing.json").read_text())
    assert found["facts"] == {"machine": "a machine"}
    assert found["ratios"][0]["reached"] == "yes"
    page = (tmp_path / "bench.md").read_text()
    assert "| service / raw | >= 0.9 | >= 0.97 | 0.93 | 0.93 to 0.93, 1 | yes |" in page
    assert "| service | 2.5 (2 to 3) |" in page
    assert "| service | 0.5 | 1 | 1.5 |" in page
    assert "floor: 1.25" in page
    assert "![Drawings at once](drawing.png)" in page
    assert (tmp_path / "drawing.png").read_bytes().startswith(b"\x89PNG")


def test_results_without_curves_have_no_plot(tmp_path: Path) -> None:
    write(tmp_path, [Result("floor", "Floor", {"seconds": 1.0})], {})
    assert not list(tmp_path.glob("*.png"))


def test_the_page_has_what_earlier_runs_have_left(tmp_path: Path) -> None:
    write(tmp_path, [RESULT], {"machine": "a machine"})
    write(tmp_path, [Result("floor", "The floor", {"seconds": 1.0})], {"machine": "a machine"})
    (tmp_path / "load.json").write_text('{"machine": "not of this suite"}')
    write(tmp_path, [], {})
    page = (tmp_path / "bench.md").read_text()
    assert page.index("## Drawings at once") < page.index("## The floor")
    assert page.count("- machine: a machine") == 1
    assert Result.from_json(json.loads((tmp_path / "drawing.json").read_text())) == RESULT


def test_figures_of_one_kind_share_a_table(tmp_path: Path) -> None:
    figures = {"report": {"p50": 1.0, "p95": 2.0}, "drawing": {"p50": 3.0, "p95": 4.0}, "left": 5}
    write(tmp_path, [Result("mixed", "Mixed", figures)], {})
    table = "|  | p50 | p95 |\n|---|---|---|\n| report | 1 | 2 |\n| drawing | 3 | 4 |\n\nleft: 5"
    assert table in (tmp_path / "bench.md").read_text()


def test_large_figures_have_no_exponent(tmp_path: Path) -> None:
    ratio = Ratio("reports a second", Spread.from_values([1612.4]), 400.0, 1000.0)
    write(tmp_path, [Result("gateway", "Gateway", {"milliseconds": 18_230.4}, (ratio,))], {})
    page = (tmp_path / "bench.md").read_text()
    assert "| 1612 | 1612 to 1612, 1 |" in page
    assert "milliseconds: 18230" in page


def test_stages_are_stacked_on_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bars: list[tuple[list[float], list[float]]] = []
    drawn = Axes.bar

    def bar(axes: Axes, xs: list[str], heights: list[float], *, bottom: list[float], label: str) -> object:
        bars.append((heights, bottom))
        return drawn(axes, xs, heights, bottom=bottom, label=label)

    monkeypatch.setattr(Axes, "bar", bar)
    parts = {
        "encode": {1: 1.0, 8: 2.0, 32: 3.0},
        "render": {1: 0.0, 8: 0.0, 32: 0.0},
        "tokens": {1: 4.0, 8: 5.0, 32: 6.0},
    }
    write(tmp_path, [Result("stages", "Stages", {"report_stages_ms": parts})], {})
    assert bars == [([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]), ([4.0, 5.0, 6.0], [1.0, 2.0, 3.0])]
    assert (tmp_path / "stages.png").exists()
