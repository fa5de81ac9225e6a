"""`python -m benchmarks`, or `cxr bench`: measure the service beside its contenders."""

import asyncio
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.bundles import make_random
from app.cli.console import console, errors, fail

if TYPE_CHECKING:
    from benchmarks.measure import Result
    from benchmarks.scenarios import Scenario
    from benchmarks.suite import Suite

bench_app = typer.Typer(
    invoke_without_command=True,
    add_completion=False,
    help="Measure the service beside its contenders.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
DEFAULT_OUT = Path("docs/benchmarks")
WORK = Path("out/bench")


@bench_app.callback()
def bench(
    context: typer.Context,
    scenario: Annotated[list[str] | None, typer.Option(help="What to measure, repeatable; all without it.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    bundle: Annotated[Path | None, typer.Option(help="Bundle to serve; without one a random one is made.")] = None,
    preset: Annotated[str, typer.Option(help="Sizes of the random bundle: small, 78m, published.")] = "78m",
    rounds: Annotated[int, typer.Option(min=1, help="Values of each contender.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder for JSON, page and plots.")] = DEFAULT_OUT,
) -> None:
    """Run scenarios and write what they found."""
    if context.invoked_subcommand is not None:
        return
    if device not in ("cpu", "cuda"):
        fail(f"--device {device}: give cpu or cuda")
    try:
        from benchmarks.contenders.process import ended_with_us
        from benchmarks.machine import machine
        from benchmarks.scenarios import SCENARIOS
        from benchmarks.suite import Suite
        from models.bundle.random import PRESETS, make_bundle
    except ModuleNotFoundError as error:
        fail(f"The benchmarks need the package {error.name}: `make setup-dev`, or `pip install '.[bench]'`.")
    wanted = scenario or list(SCENARIOS)
    unknown = [name for name in wanted if name not in SCENARIOS]
    if unknown:
        fail(f"--scenario {unknown[0]}: there are {', '.join(SCENARIOS)}")
    if preset not in PRESETS:
        fail(f"--preset {preset}: there are {', '.join(PRESETS)}")
    path = bundle
    if path is None:
        path = WORK / f"bundle-{preset}"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with errors.status(f"Making a bundle of random weights: {preset}"):
                make_bundle(path, PRESETS[preset], name=f"llm-cxr-random-{preset}")
    facts = {
        "machine": machine(),
        "bundle": path.name if bundle is None else bundle.name,
        "device": device,
        "rounds": str(rounds),
        "command": "cxr bench " + " ".join([*(f"--scenario {name}" for name in scenario or ())]),
    }
    with (
        ended_with_us(),
        tempfile.TemporaryDirectory(prefix="cxr-bench-") as folder,
        Suite(path, device, rounds, Path(folder), (WORK / "cache").resolve()) as suite,
    ):
        failed = run(suite, {name: SCENARIOS[name] for name in wanted}, out, facts)
    console.print(f"{out / 'bench.md'}", markup=False)
    raise typer.Exit(1 if failed else 0)


def run(suite: "Suite", scenarios: Mapping[str, "Scenario"], out: Path, facts: dict[str, str]) -> list[str]:
    """Run scenarios one after the other, write the results so far after each; returns the names of those that failed.

    A failed scenario is printed and leaves the others' figures as they are.
    """
    from benchmarks.report import write

    started = time.monotonic()
    results: list[Result] = []
    failed: list[str] = []
    for name, scenario in scenarios.items():
        begun = time.monotonic()
        try:
            with errors.status(f"Measuring {name}"):
                results.append(suite.with_memory(asyncio.run(scenario(suite))))
        except Exception as error:  # the other scenarios' figures stand
            failed.append(name)
            errors.print(f"{name} failed: {type(error).__name__}: {error}", style="red", markup=False)
            continue
        for ratio in results[-1].ratios:
            console.print(f"{ratio.name}: {ratio.spread.median:.3g} ({ratio.reached})", markup=False)
        console.print(f"{name}: {time.monotonic() - begun:.0f} s", style="dim")
        facts["minutes"] = f"{(time.monotonic() - started) / 60:.1f}"
        write(out, results, facts)
    return failed


bench_app.command("make-bundle")(make_random)
