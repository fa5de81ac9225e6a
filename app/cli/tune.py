"""`cxr tune`: which attention kernel is the fastest on this machine's GPU."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.table import Table

from app.cli.console import console, errors, fail
from app.cli.options import BundleOption, ConfigOption, StateOption, settings_of
from app.engine.attention import BATCHES, CANDIDATES, VLLMS_CHOICE, Choice, Timing, fastest, keep
from app.engine.environment import engine_environment, socket_folder
from app.settings import EngineSettings
from models import bundle as bundles
from models.bundle import BundleError

_SECONDS = 600.0
KernelOption = Annotated[
    list[str] | None, typer.Option("--kernel", help="By vLLM's name, repeatable; unset: all that a GPU may have.")
]


def tune(
    bundle: BundleOption = None,
    state_dir: StateOption = None,
    config: ConfigOption = None,
    kernel: KernelOption = None,
) -> None:
    """Time the attention kernels of this machine's GPU with a bundle's heads, and keep the fastest.

    The engine uses it from the next start on (CXR_ENGINE__ATTENTION=auto). It takes about a minute a kernel. Stop the
    service before: each timing takes the GPU's memory.
    """
    settings = settings_of(config, bundle=bundle, state_dir=state_dir)
    try:
        model = bundles.load(settings.bundle).llm
    except BundleError as error:
        fail(str(error))
    cache = settings.state_dir.resolve() / "cache"
    timings: dict[str, Timing] = {}
    for name in (VLLMS_CHOICE, *(kernel or CANDIDATES)):
        with errors.status(f"Timing {name}"):
            found = timing(model, settings.engine, cache, None if name == VLLMS_CHOICE else name)
        if isinstance(found, str):
            errors.print(f"{name} does not run here: {found}", style="yellow", markup=False)
        else:
            timings[name] = found
            if found.geometry.card == "cpu":
                fail("vLLM has one attention kernel for a CPU: there is nothing to choose.", 1)
    if VLLMS_CHOICE not in timings:
        fail("vLLM does not run here with this bundle, so there is nothing to compare with.", 1)
    seconds = {name: found.seconds for name, found in timings.items()}
    best = fastest(seconds)
    _print(seconds)
    try:
        keep(cache, Choice(geometry=timings[VLLMS_CHOICE].geometry, seconds=seconds, kernel=best))
    except OSError as error:
        fail(f"The timings cannot be kept in the state folder: {error.strerror}.", 1)
    console.print(f"The engine uses {best or VLLMS_CHOICE} from its next start on.")


def timing(model: Path, settings: EngineSettings, cache: Path, kernel: str | None) -> Timing | str:
    """What a kernel takes, from a process of its own; in words, why it does not run."""
    command = [sys.executable, "-m", "app.engine.attention_timing", str(model), "--dtype", settings.dtype]
    command += ["--tensor-parallel-size", str(settings.tensor_parallel_size)]
    command += ["--quantization", settings.quantization] if settings.quantization is not None else []
    command += ["--kernel", kernel] if kernel is not None else []
    with _sockets() as sockets, engine_environment(settings, cache, sockets):
        try:
            status, output, said = run_alone(command, _SECONDS)
        except subprocess.TimeoutExpired:
            return f"it has not ended within {_SECONDS:.0f} seconds"
    try:
        return Timing.model_validate(json.loads(output.splitlines()[-1]))
    except (IndexError, ValueError, ValidationError):
        return next((line for line in reversed(said.splitlines()) if line.strip()), f"status {status}")


@contextlib.contextmanager
def _sockets() -> Iterator[Path]:
    """A folder for the engine's sockets."""
    temporary = Path(tempfile.gettempdir())
    folder = socket_folder(temporary)
    try:
        yield folder
    finally:
        if folder != temporary:
            shutil.rmtree(folder, ignore_errors=True)


def run_alone(command: Sequence[str], seconds: float) -> tuple[int, str, str]:
    """Status, output and errors of a command, whose processes all end with it: vLLM's hold the GPU's memory. So they do
    where this process is terminated.

    Raises subprocess.TimeoutExpired, and SystemExit on SIGTERM.
    """
    with (
        _exit_on_sigterm(),
        subprocess.Popen(  # noqa: S603  our own module, without a shell
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process,
    ):
        try:
            output, said = process.communicate(timeout=seconds)
            return process.returncode, output, said
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print(seconds: dict[str, dict[int, float]]) -> None:
    table = Table("attention kernel", *(f"ms a token, {count} at once" for count in BATCHES))
    for name, found in seconds.items():
        table.add_row(name, *(f"{1e3 * found[count]:.2f}" for count in BATCHES))
    console.print(table)
