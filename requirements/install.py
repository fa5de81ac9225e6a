"""Make the environment that the service runs in: `python install.py FOLDER`, by the Python that it shall have.

Standard library alone. Everything that is done is found again in the folder itself, so that a set-up that was cut off
goes on where it stopped: whole packages stay, a package that is half there is installed anew.
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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
GB = 1e9
_GROUP = 20
_LINE_SECONDS = 15.0


@dataclass(frozen=True)
class Build:
    """One of PyTorch's builds, with what it takes together with everything else, as measured."""

    name: str
    lock: Path
    download: float
    installed: float

    @property
    def version(self) -> str:
        """PyTorch's own version in it."""
        return read_lock(self.lock)["torch"]


CPU = Build("PyTorch's CPU build", HERE / "torch-cpu.txt", 0.8 * GB, 2.4 * GB)
PYPI = Build("PyPI's PyTorch, a CUDA build that also runs on the CPU,", HERE / "torch-pypi.txt", 3.0 * GB, 6.5 * GB)


@dataclass(frozen=True)
class Installed:
    """A package in the environment."""

    folder: Path
    version: str
    size: int
    whole: bool


def stop(sentence: str) -> NoReturn:
    """End with one sentence."""
    print(sentence, file=sys.stderr)
    sys.exit(2)


def read_lock(path: Path) -> dict[str, str]:
    """Versions by name."""
    return dict(line.split("==") for line in path.read_text().split())


def refusal(system: str, machine: str, libc: str) -> str | None:
    """Why the packages cannot run here; None where they can."""
    if (system, machine) != ("Linux", "x86_64"):
        return f"The service needs Linux on x86-64; this is {system} on {machine}."
    if libc != "glibc":
        return "The service needs a Linux with glibc: its packages are not built for others, as Alpine."
    return None


class Environment:
    """The folder, what is in it, and its pip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._scratch = folder / "scratch"

    def make(self) -> None:
        """Leave alone what works; make the rest of one that is half there anew."""
        if self._works():
            return
        half = (self.folder / "pyvenv.cfg").exists()
        if not half and self.folder.is_dir() and any(self.folder.iterdir()):
            stop(f"{self.folder} holds other files and is no environment: name another folder with VENV=.")
        print(f"{self.folder}: {'was half made, starts anew' if half else 'new'}, {platform.python_version()}")
        venv.create(self.folder, clear=half, with_pip=True, symlinks=True)

    def _works(self) -> bool:
        probe = "import sys, pip._internal; print(*sys.version_info[:2])"
        try:
            done = subprocess.run([self.python, "-c", probe], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return False
        return done.stdout.split() in (["3", "11"], ["3", "12"], ["3", "13"])

    def installed(self) -> dict[str, Installed]:
        """Packages by name, as the files tell."""
        found = {}
        for folder in self.folder.glob("lib/python3.*/site-packages/*.dist-info"):
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            size = _size_if_whole(folder)
            found[re.sub(r"[-_.]+", "-", name).lower()] = Installed(folder, version, size or 0, size is not None)
        return found

    def pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run pip at once and return what it said."""
        return subprocess.run([*self._command(), *arguments], capture_output=True, text=True, check=False)

    def _command(self) -> list[str]:
        return [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input"]

    def install(self, arguments: list[str], meter: "Meter") -> None:
        """Run `pip install`, telling what it has downloaded so far. Ends the set-up where pip fails."""
        shutil.rmtree(self._scratch, ignore_errors=True)  # of a run that was killed
        self._scratch.mkdir()
        command = [*self._command(), "install", "--quiet", "--no-deps", "--progress-bar", "off", *arguments]
        try:
            with tempfile.TemporaryFile("w+") as said:
                environment = os.environ | {"TMPDIR": str(self._scratch)}
                process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
                while True:
                    try:
                        status = process.wait(1)
                        break
                    except subprocess.TimeoutExpired:
                        meter.tick(_folder_size(self._scratch))
                if status:
                    said.seek(0)
                    stop(f"\n{said.read()}The set-up stopped at what pip says above; run it again, and it goes on.")
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)


class Meter:
    """Where the set-up is: one line that changes on a terminal, a line now and then elsewhere."""

    def __init__(self, packages: int, done: int, size: int, total: float) -> None:
        self._packages, self._done, self._size, self._total = packages, done, size, total
        self._begin = self._said = time.monotonic()
        self._terminal = sys.stdout.isatty()

    def advance(self, packages: int, size: int) -> None:
        """So many packages are there now, and take so much."""
        self._done, self._size = packages, size
        self._say("")

    def tick(self, downloaded: int) -> None:
        """Still at it."""
        if self._terminal or time.monotonic() - self._said > _LINE_SECONDS:
            self._say(f", {downloaded / 1e6:.0f} MB of the next at hand" if downloaded else "")

    def _say(self, more: str) -> None:
        self._said = time.monotonic()
        line = f"  {self._done} of {self._packages} packages, {self._size / GB:.1f} of {self._total / GB:.1f} GB{more}"
        line += f", {self._said - self._begin:.0f} s"
        print(f"\r\033[K{line}" if self._terminal else line, end="" if self._terminal else "\n", flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._terminal:
            print()


def _size_if_whole(folder: Path) -> int | None:
    """The size of a package, or None where a file is missing. pip writes the record that lists REQUESTED last of all."""
    try:
        rows = [row for row in csv.reader((folder / "RECORD").read_text().splitlines()) if row]
        if not any(row[0] == f"{folder.name}/REQUESTED" for row in rows):
            return None
        # Compiled files have no size there, and may be removed.
        return sum((folder.parent / name).stat().st_size for name, _, size in rows if size)
    except (OSError, ValueError):
        return None


def _folder_size(folder: Path) -> int:
    sizes = 0
    for path in folder.rglob("*"):
        try:
            sizes += path.stat().st_size
        except OSError:
            continue
    return sizes


def build_of_torch(environment: Environment, index: str) -> Build:
    """The build that is there already, or the CPU's where pip finds it, or PyPI's."""
    there = environment.installed().get("torch")
    for build in (CPU, PYPI):
        if there is not None and there.version == build.version and (build is CPU or not index):
            return build
    said = environment.pip("index", "versions", "torch", *_index(index))
    versions = re.findall(r"[^\s,]+", said.stdout.partition("Available versions:")[2].partition("\n")[0])
    if CPU.version in versions:
        return CPU
    if index:
        stop(f"PYTORCH_INDEX={index} has no torch {CPU.version} for Python {platform.python_version()}.")
    if PYPI.version in versions:
        return PYPI
    stop(f"pip finds no torch {PYPI.version} for Python {platform.python_version()}: does it reach a package index?")


def _index(index: str) -> list[str]:
    return ["--extra-index-url", index] if index else []


def _announce(build: Build, left: int) -> None:
    print(f"{left} packages to install with {build.name}")
    print(f"  about {build.download / GB:.1f} GB to download in all, {build.installed / GB:.1f} GB on disk")
    if build is PYPI:
        print(f"  pip finds no CPU build here, which makes it {CPU.download / GB:.1f} and {CPU.installed / GB:.1f} GB:")
        print("  to take that, name PyTorch's CPU wheel index (see PyTorch's install page): make setup PYTORCH_INDEX=URL")


def install_packages(environment: Environment, build: Build, files: list[Path], index: str) -> None:
    """Everything that the locks name and that is not whole in the environment."""
    wanted = {name: (version, file) for file in files for name, version in read_lock(file).items()}
    there = environment.installed()
    for name in read_lock(PYPI.lock).keys() - wanted.keys() & there.keys():
        environment.pip("uninstall", "--yes", name)  # of the other build
    for name in wanted.keys() & there.keys():
        if not there[name].whole:
            shutil.rmtree(there[name].folder)  # pip would take it for installed
    have = {name for name, (version, _) in wanted.items() if name in there and _is(there[name], version)}
    left = [name for name in wanted if name not in have]
    if not left:
        return
    _announce(build, len(left))
    free = shutil.disk_usage(environment.folder).free
    size = sum(there[name].size for name in have)
    if free < build.installed - size:
        stop(f"{environment.folder} needs {(build.installed - size) / GB:.1f} GB more; {free / GB:.1f} GB are free.")
    meter = Meter(len(wanted), len(have), size, build.installed)
    for group in _groups(left, read_lock(build.lock)):
        extra = _index(index) if "torch" in group else []
        lines = [f"{name}=={wanted[name][0]}" for name in group]
        environment.install(["--only-binary", ":all:", *extra, *lines], meter)
        now = environment.installed()
        meter.advance(len(wanted.keys() & now.keys()), sum(now[name].size for name in wanted.keys() & now.keys()))
    meter.end()


def install_service(environment: Environment) -> None:
    """The command `cxr`, from the folder that this file is part of."""
    project = HERE.parent / "pyproject.toml"
    there = environment.installed().get("llm-cxr-server")
    if there is None or not there.whole or (there.folder / "RECORD").stat().st_mtime < project.stat().st_mtime:
        environment.install(["--no-build-isolation", "--editable", str(HERE.parent)], Meter(1, 0, 0, 0))


def _is(package: Installed, version: str) -> bool:
    return package.whole and package.version == version


def _groups(names: list[str], large: dict[str, str]) -> Iterator[list[str]]:
    """Large ones one by one, so that what is there stays when the next is cut off."""
    small = [name for name in names if name not in large]
    yield from (small[at : at + _GROUP] for at in range(0, len(small), _GROUP))
    yield from ([name] for name in names if name in large)


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dev", action="store_true", help="with what the tests need")
    parser.add_argument("--packages-only", action="store_true", help="without the service itself")
    parser.add_argument("--pytorch-index", default="", metavar="URL", help="PyTorch's CPU wheel index")
    given = parser.parse_args()
    refused = refusal(platform.system(), platform.machine(), platform.libc_ver()[0])
    if refused:
        stop(refused)
    environment = Environment(given.folder.absolute())
    environment.make()
    build = build_of_torch(environment, given.pytorch_index)
    files = [HERE / "cpu.txt", build.lock]
    install_packages(environment, build, files + ([HERE / "dev.txt"] if given.dev else []), given.pytorch_index)
    (given.folder / "lock.txt").write_text("".join(path.read_text() for path in files))
    if not given.packages_only:
        install_service(environment)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        stop("\nStopped; run it again, and it goes on from here.")
