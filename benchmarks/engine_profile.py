"""vLLM's own profiler over drawings of the raw pipeline: what the engine's steps consist of.

`python -m benchmarks.engine_profile BUNDLE [--drawings 1 32] [--tokens 64] [--device cpu|cuda] [--out FILE]`

Where a GPU's kernels run less than the time from the first to the last, it waits for the processor.
"""

import argparse
import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

from vllm import LLM

from app.settings import EngineSettings
from benchmarks.contenders.protocol import Work
from benchmarks.contenders.raw import Ceiling
from benchmarks.machine import machine
from benchmarks.scenarios.drawing import work_of
from models.bundle import Bundle, load

_ROWS = 15


class Profiled(Ceiling):
    """The raw pipeline with vLLM's profiler at hand; traces go to `folder`."""

    def __init__(self, bundle: Bundle, device: str, settings: EngineSettings, cache: Path, folder: Path) -> None:
        self._folder = folder
        super().__init__(bundle, device, settings, cache)

    def _arguments(self, settings: EngineSettings) -> dict[str, Any]:
        profiler = {"profiler": "torch", "torch_profiler_dir": str(self._folder), "torch_profiler_with_stack": False}
        return {**super()._arguments(settings), "profiler_config": profiler}

    @property
    def llm(self) -> LLM:
        """VLLM itself."""
        return self._llm


def kernels(trace: Path) -> tuple[dict[str, float], float]:
    """Milliseconds by kernel of a trace, and from the first one's beginning to the last one's end."""
    with gzip.open(trace) as file:
        ran = [event for event in json.load(file)["traceEvents"] if event.get("cat") == "kernel"]
    by_name: dict[str, float] = {}
    for event in ran:
        name = event["name"].partition("<")[0].removeprefix("void ")[:80]
        by_name[name] = by_name.get(name, 0.0) + event["dur"] / 1000
    begins = [event["ts"] for event in ran]
    ends = [event["ts"] + event["dur"] for event in ran]
    return by_name, (max(ends) - min(begins)) / 1000 if ran else 0.0


def render(folder: Path) -> str:
    """What the profiler has left in `folder`, as Markdown: kernels of a GPU, operators of a CPU."""
    lines: list[str] = []
    for trace in sorted(folder.rglob("*.json.gz")):
        by_name, span = kernels(trace)
        if by_name:
            total = sum(by_name.values())
            lines += ["| kernel | ms | share |", "|---|---|---|"]
            top = sorted(by_name.items(), key=lambda item: -item[1])[:_ROWS]
            lines += [f"| `{name}` | {ms:.1f} | {ms / total:.3f} |" for name, ms in top]
            lines += ["", f"Kernels run {total:.0f} ms of {span:.0f}.", ""]
    if not lines:
        for table in sorted(folder.rglob("*.txt")):
            lines += ["```", *(line.rstrip() for line in table.read_text().splitlines()[: _ROWS + 6]), "```", ""]
    return "\n".join(lines)


def main() -> None:
    """Draw the given numbers at once, without the profiler and then with it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--drawings", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--cache", type=Path, default=Path("out/bench/cache"))
    parser.add_argument("--out", type=Path, help="write the page here as well")
    given = parser.parse_args()
    bundle = load(given.bundle)
    pages = [f"{machine()}; {given.bundle.name}.\n"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ceiling = Profiled(bundle, given.device, EngineSettings(), given.cache, folder)
        try:
            for count in given.drawings:
                work = work_of(bundle, count, 1)
                work = Work(work.prompts, work.seeds, work.temperature, work.top_p, decode=False, limit=given.tokens)
                alone = [ceiling(work).seconds for _ in range(3)]
                ceiling.llm.start_profile()
                seen = ceiling(work).seconds
                ceiling.llm.stop_profile()
                what = f"{count} at once, {given.tokens} tokens of each"
                pages += [f"{what}: {min(alone):.3f} s, {seen:.3f} s with the profiler.\n", render(folder)]
                for file in folder.rglob("*.*"):
                    file.unlink()
        finally:
            ceiling.close()
    page = "\n".join(pages)
    print(page)
    if given.out is not None:
        given.out.write_text(page)


if __name__ == "__main__":
    main()
