"""`cxr bench`: the benchmarks of a checkout. They are no part of the installed package."""

import importlib
import sys
from pathlib import Path

import typer

from app.cli.console import fail

_CHECKOUT = Path(__file__).resolve().parents[2]
bench_command = typer.Typer(add_completion=False)


# Everything behind `cxr bench`, `--help` too, is for the benchmarks' own command line.
@bench_command.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "allow_interspersed_args": False, "ignore_unknown_options": True},
)
def bench(context: typer.Context) -> None:
    """Measure the service beside its contenders; the same as `python -m benchmarks` in a checkout."""
    # An editable installation makes `app` importable from its checkout, but not the benchmarks beside it.
    if (_CHECKOUT / "benchmarks" / "cli.py").is_file() and str(_CHECKOUT) not in sys.path:
        sys.path.append(str(_CHECKOUT))
    try:
        benchmarks = importlib.import_module("benchmarks.cli")
    except ModuleNotFoundError as error:
        if error.name not in ("benchmarks", "benchmarks.cli"):
            raise
        fail("The benchmarks are not installed with the service: run `python -m benchmarks` in a checkout.")
    command = typer.main.get_command(benchmarks.bench_app)
    raise typer.Exit(command.main(context.args, prog_name="cxr bench", standalone_mode=False) or 0)
