"""Make the environment that the service runs in: `python install.py FOLDER`, by the Python that it shall have.

Standard library alone. What is done is found again in the folder itself, so that a set-up that was cut off goes on
where it stopped: whole packages stay, a package that is half there is installed anew.
"""

import argparse
import csv
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from pins import CPU, GB, PYPI, Build, Pin, read_lock

HERE = Path(__file__).resolve().parent
_GROUP, _LINE_SECONDS = 20, 15.0

_TOOLS = 0.6 * GB


class Installed(NamedTuple):
    """A package in the environment."""

    record: Path
    version: str
    size: int
    whole: bool


def stop(sentence: str) -> NoReturn:
    """End with one sentence."""
    print(sentence, file=sys.stderr)
    sys.exit(2)


class Environment:
    """The folder, what is in it, and its pip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._scratch = folder / "scratch"
        self._pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]

    def make(self) -> None:
        """Leave alone what works, and begin one that is half there anew."""
        if self._works():
            return
        half = (self.folder / "pyvenv.cfg").exists()
        if not half and self.folder.is_dir() and any(self.folder.iterdir()):
            stop(f"{self.folder} holds other files and is no environment: name another folder with VENV=.")
        print(f"{self.folder}: {'unusable, made anew' if half else 'made'} with Python {platform.python_version()}")
        venv.create(self.folder, clear=half, with_pip=True, symlinks=True)

    def _works(self) -> bool:
        probe = "import sys, pip._internal; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)))"
        try:
            return subprocess.run([self._pip[0], "-c", probe], capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    def installed(self) -> dict[str, Installed]:
        """Packages by name. pip writes the record that lists REQUESTED last of all."""
        found = {}
        for folder in self.folder.glob("lib/python3.*/site-packages/*.dist-info"):
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            record, size, whole = folder / "RECORD", 0, False
            try:
                for row in csv.reader(record.read_text().splitlines()):
                    whole = whole or row[0] == f"{folder.name}/REQUESTED"
                    path = folder.parent / row[0]
                    if row[2] or path.exists():  # compiled files have no size there, and may be removed
                        size += path.stat().st_size
            except (OSError, IndexError):
                whole = False
            found[re.sub(r"[-_.]+", "-", name).lower()] = Installed(record, version, size, whole)
        return found

    def pip(self, *arguments: str) -> str:
        """What pip answers to a short question."""
        return subprocess.run([*self._pip, *arguments], capture_output=True, text=True, check=False).stdout

    def install_pins(self, pins: Iterable[Pin], arguments: Iterable[str], meter: "Meter") -> None:
        """Install these files and no others, by their hashes, which pip takes from a file only."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.writelines(f"{pin.line}\n" for pin in pins)
            file.flush()
            hashes = ["--require-hashes", "--only-binary", ":all:", "--requirement", file.name]
            self.install([*hashes, *arguments], meter)

    def install(self, arguments: Iterable[str], meter: "Meter") -> None:
        """Run `pip install`, telling what it has downloaded so far. Ends the set-up where pip fails."""
        shutil.rmtree(self._scratch, ignore_errors=True)  # of one that was killed
        self._scratch.mkdir()
        command = [*self._pip, "install", "--quiet", "--no-deps", "--progress-bar", "off", *arguments]
        with tempfile.TemporaryFile("w+") as said:
            scratch = os.environ | {"TMPDIR": str(self._scratch)}
            process = subprocess.Popen(command, stdout=said, stderr=said, env=scratch)
            while process.poll() is None:
                try:
                    process.wait(1)
                except subprocess.TimeoutExpired:
                    meter.tick(self._scratch)
            shutil.rmtree(self._scratch, ignore_errors=True)
            if process.returncode:
                said.seek(0)
                stop(f"\n{said.read()}The set-up stopped at what pip says above; run it again, and it goes on.")


class Meter:
    """Where the set-up is: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self, packages: int, total: float) -> None:
        self._packages, self._total = packages, total
        self._done, self._size = 0, 0
        self._begin = self._said = time.monotonic()
        self._terminal = sys.stdout.isatty()

    def advance(self, sizes: list[int]) -> None:
        """These packages are there now."""
        self._done, self._size = len(sizes), sum(sizes)
        self._say("\n" if self._done == self._packages else "")

    def tick(self, scratch: Path) -> None:
        """Still at it; `scratch` holds what pip has downloaded."""
        if self._terminal or time.monotonic() - self._said > _LINE_SECONDS:
            files = [path for path in scratch.rglob("*.whl") if path.exists()]
            self._say("", f", {sum(path.stat().st_size for path in files) / 1e6:.0f} MB of the next" if files else "")

    def _say(self, end: str, more: str = "") -> None:
        self._said = time.monotonic()
        line = f"  {self._done} of {self._packages} packages, {self._size / GB:.1f} of {self._total / GB:.1f} GB{more}"
        line += f", {self._said - self._begin:.0f} s"
        print(*(("\r\033[K", line, end) if self._terminal else (line, "\n")), sep="", end="", flush=True)


def build_of_torch(environment: Environment, index: list[str]) -> Build:
    """The build that is there already, or the CPU's where pip finds it, or PyPI's."""
    there = environment.installed().get("torch")
    if there is not None and there.version == CPU.version:
        return CPU
    if there is not None and there.version == PYPI.version and not index:
        return PYPI
    listed = environment.pip("index", "versions", "torch", *index).partition("Available versions:")[2]
    versions = listed.partition("\n")[0].replace(",", " ").split()
    if CPU.version in versions:
        return CPU
    python = f"for Python {platform.python_version()}"
    if index:
        stop(f"PYTORCH_INDEX={index[1]} has no torch {CPU.version} {python}.")
    if PYPI.version in versions:
        return PYPI
    stop(f"pip finds no torch {PYPI.version} {python}: does it reach a package index?")


def install_packages(environment: Environment, build: Build, wanted: dict[str, Pin], index: list[str]) -> None:
    """Everything that is wanted and not whole in the environment."""
    there = environment.installed()
    for name in read_lock(PYPI.lock).keys() - wanted.keys() & there.keys():
        environment.pip("uninstall", "--yes", name)  # of the other build
    for name in wanted.keys() & there.keys():
        if not there[name].whole:
            shutil.rmtree(there[name].record.parent)  # pip would take it for installed
            del there[name]
    sizes = [there[name].size for name in wanted.keys() & there.keys()]
    left = [name for name, pin in wanted.items() if name not in there or there[name].version != pin.version]
    if not left:
        return
    print(f"{len(left)} of {len(wanted)} packages to install, with {build.name}.")
    print(f"In all it takes {build.download / GB:.1f} GB of downloads and {build.installed / GB:.1f} GB of disk.")
    if build.lock == PYPI.lock:
        print(f"PyTorch's CPU build, which pip finds no index for, takes {CPU.download / GB:.1f} and ", end="")
        print(f"{CPU.installed / GB:.1f} GB: make setup PYTORCH_INDEX=URL, with the URL from PyTorch's install page.")
    free, needed = shutil.disk_usage(environment.folder).free, build.installed - sum(sizes)
    if free < needed:
        stop(f"{environment.folder} needs {needed / GB:.1f} GB more, and {free / GB:.1f} GB are free.")
    meter = Meter(len(wanted), build.installed)
    meter.advance(sizes)
    for group in _groups(left, read_lock(build.lock)):
        environment.install_pins([wanted[name] for name in group], index if "torch" in group else [], meter)
        meter.advance([package.size for name, package in environment.installed().items() if name in wanted])


def _groups(names: list[str], large: dict[str, Pin]) -> Iterator[list[str]]:
    """Large ones one by one, so that what is there stays when the next is cut off."""
    small = [name for name in names if name not in large]
    yield from (small[at : at + _GROUP] for at in range(0, len(small), _GROUP))
    yield from ([name] for name in names if name in large)


def install_service(environment: Environment) -> None:
    """The command `cxr`, of the folder that this file is part of."""
    there = environment.installed().get("llm-cxr-server")
    project = HERE.parent / "pyproject.toml"
    if there is None or not there.whole or there.record.stat().st_mtime < project.stat().st_mtime:
        environment.install(["--no-build-isolation", "--editable", str(HERE.parent)], Meter(1, 0))


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dev", action="store_true", help="with what the tests need")
    parser.add_argument("--packages-only", action="store_true", help="without the service")
    parser.add_argument("--pytorch-index", default="", metavar="URL", help="PyTorch's CPU wheel index")
    given = parser.parse_args()
    if (platform.system(), platform.machine(), platform.libc_ver()[0]) != ("Linux", "x86_64", "glibc"):
        stop("The service needs Linux on x86-64 with glibc: some of its packages are built for nothing else.")
    environment = Environment(given.folder.absolute())
    environment.make()
    index = ["--extra-index-url", given.pytorch_index] if given.pytorch_index else []
    build = build_of_torch(environment, index)
    locked = wanted = read_lock(HERE / "cpu.txt") | read_lock(build.lock)
    if given.dev:
        wanted = locked | read_lock(HERE / "dev.txt")
        build = build._replace(installed=build.installed + _TOOLS)
    install_packages(environment, build, wanted, index)
    (environment.folder / "lock.txt").write_text("".join(f"{locked[name].line}\n" for name in sorted(locked)))
    if not given.packages_only:
        install_service(environment)


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        stop(str(error))
    except KeyboardInterrupt:
        stop("\nStopped; run it again, and it goes on from here.")
