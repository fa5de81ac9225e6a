"""What the locks hold. Standard library alone: it is read before anything is installed."""

from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
GB = 1e9


class Pin(NamedTuple):
    """A package's version, and the line that lets pip install its files and no others."""

    version: str
    line: str


def read_lock(path: Path) -> dict[str, Pin]:
    """Pins by name. Raises ValueError where a package has no hash: any file of that name would do."""
    pins = {}
    for line in path.read_text().replace("\\\n", " ").splitlines():
        pinned, *hashes = line.split()
        name, _, version = pinned.partition("==")
        if not hashes or not all(word.startswith("--hash=sha256:") for word in hashes):
            raise ValueError(f"{path.name} has no hash for {pinned}: `make lock` writes them.")
        pins[name] = Pin(version, " ".join([pinned, *hashes]))
    return pins


class Build(NamedTuple):
    """One of PyTorch's builds, and what it takes together with everything else, in bytes, as measured."""

    name: str
    lock: Path
    download: float
    installed: float

    @property
    def version(self) -> str:
        """PyTorch's own version in it."""
        return read_lock(self.lock)["torch"].version


CPU = Build("PyTorch's CPU build", HERE / "torch-cpu.txt", 0.7 * GB, 2.8 * GB)
PYPI = Build("PyPI's PyTorch, a CUDA build that also runs on the CPU", HERE / "torch-pypi.txt", 3.1 * GB, 6.1 * GB)
