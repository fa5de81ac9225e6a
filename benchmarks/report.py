"""Results as files: JSON a scenario, one page with tables, and plots."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Result


def write(out: Path, results: Sequence[Result], facts: Mapping[str, str]) -> None:
    """Write `SCENARIO.json` and the plot of each result into a folder, and `bench.md` of all results that are there."""
    out.mkdir(parents=True, exist_ok=True)
    for result in results:
        content = {"facts": dict(facts), **result.as_json()}
        (out / f"{result.scenario}.json").write_text(json.dumps(content, indent=1) + "\n")
        _plot(out, result)
    (out / "bench.md").write_text(page(out))


def page(out: Path) -> str:
    """All results of a folder as Markdown, in the order of their names."""
    found = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
    known = {content["scenario"]: content for content in found if "scenario" in content}
    results = [Result.from_json(content) for content in known.values()]
    lines = ["# Benchmarks", "", "`make bench` writes this page; each scenario's JSON has every value.", ""]
    facts = {json.dumps(content["facts"], sort_keys=True): content["facts"] for content in known.values()}
    for one in facts.values():
        lines.append("- " + "; ".join(f"{name}: {value}" for name, value in one.items() if name != "minutes"))
    ratios = [ratio for result in results for ratio in result.ratios]
    if ratios:
        head = "| what was asked for | goal | stretch | median | spread, values | reached |"
        lines += ["", head, "|---|---|---|---|---|---|"]
        for ratio in ratios:
            sign, spread = ("<=" if ratio.at_most else ">="), ratio.spread
            lines.append(
                f"| {ratio.name} | {sign} {ratio.goal:g} | {sign} {ratio.stretch:g} | {_short(spread.median)} "
                f"| {_short(spread.low)} to {_short(spread.high)}, {spread.count} | {ratio.reached} |"
            )
    for result in results:
        lines += ["", f"## {result.title}", "", *([result.note] if result.note else []), *_tables(result.figures)]
        if (out / f"{result.scenario}.png").exists():
            lines += ["", f"![{result.title}]({result.scenario}.png)"]
    return "\n".join([*lines, ""])


def _tables(figures: Mapping[str, Any]) -> list[str]:
    """Numbers as lines, mappings of numbers as rows of one table while their columns are the same, others as tables."""
    lines: list[str] = []
    columns: list[str] = []
    for name, value in figures.items():
        words = name.replace("_", " ")
        if not isinstance(value, Mapping):
            lines += ["", f"{words}: {_number(value)}"]
            columns = []
            continue
        flat = not any(isinstance(cell, Mapping) for cell in value.values())
        rows = {words: value} if flat else _rows(value)
        own = list(dict.fromkeys(str(column) for row in rows.values() for column in row))
        if not (flat and own == columns):
            lines += ["", f"| {'' if flat else words} | " + " | ".join(own) + " |", "|---" * (len(own) + 1) + "|"]
        columns = own if flat else []
        for row, cells in rows.items():
            by_name = {str(column): cell for column, cell in cells.items()}
            lines.append(f"| {row} | " + " | ".join(_number(by_name.get(column, "")) for column in own) + " |")
    return lines


def _rows(value: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """A row for each innermost mapping; a spread is one cell."""
    rows: dict[str, Mapping[str, Any]] = {}
    for name, inner in value.items():
        if not isinstance(inner, Mapping):
            rows[str(name)] = {"": inner}
        elif all(isinstance(cell, Mapping) and set(cell) == _SPREAD for cell in inner.values()):
            rows[str(name)] = {key: _spread(cell) for key, cell in inner.items()}
        else:
            rows[str(name)] = inner
    return rows


_SPREAD = {"median", "low", "high", "count"}


def _spread(cell: Mapping[str, float]) -> str:
    return f"{_short(cell['median'])} ({_short(cell['low'])} to {_short(cell['high'])})"


def _short(value: float) -> str:
    """Three digits, or all before the point; never an exponent of ten."""
    return f"{value:.3g}" if value < 1000.0 else f"{value:.0f}"


def _number(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if abs(value) < 10_000.0 else f"{value:.0f}"


def _plot(out: Path, result: Result) -> None:
    """Every series over numbers that the result has, on one sheet; no file without any. Stages are parts of a whole."""
    series = _series(result.figures)
    if not series:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(series), figsize=(5.2 * len(series), 3.6), squeeze=False)
    for axis, (title, lines) in zip(axes[0], series.items(), strict=True):
        (_stack if "stages" in title else _lines)(axis, lines)
        axis.set_title(title.replace("_", " "))
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        if len(lines) > 1:
            axis.legend(fontsize="small")
    figure.suptitle(result.title)
    figure.tight_layout()
    figure.savefig(out / f"{result.scenario}.png", dpi=110)
    pyplot.close(figure)


def _lines(axis: Any, lines: Mapping[str, Mapping[int, float]]) -> None:
    for name, points in lines.items():
        xs = sorted(points)
        axis.plot(xs, [points[x] for x in xs], marker="o", label=name)
    axis.set_xscale("log", base=2 if max(max(points) for points in lines.values()) <= 64 else 10)


def _stack(axis: Any, lines: Mapping[str, Mapping[int, float]]) -> None:
    below: dict[int, float] = {}
    for name, points in lines.items():
        if not any(points.values()):
            continue
        xs = sorted(points)
        axis.bar([str(x) for x in xs], [points[x] for x in xs], bottom=[below.get(x, 0.0) for x in xs], label=name)
        below = {x: below.get(x, 0.0) + points[x] for x in xs}


def _series(figures: Mapping[str, Any]) -> dict[str, dict[str, dict[int, float]]]:
    found: dict[str, dict[str, dict[int, float]]] = {}
    for title, value in figures.items():
        if not isinstance(value, Mapping):
            continue
        if _is_line(value):
            found[title] = {title: dict(value)}
            continue
        lines = {name: dict(inner) for name, inner in value.items() if isinstance(inner, Mapping) and _is_line(inner)}
        if lines:
            found[title] = lines
    return found


def _is_line(value: Mapping[Any, Any]) -> bool:
    numbers = all(isinstance(x, int) and isinstance(y, int | float) for x, y in value.items())
    return len(value) > 2 and numbers
