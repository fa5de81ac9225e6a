"""What is shipped is what is tested: a wheel, installed where no checkout is, demonstrates, draws and serves."""

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.service import Service
from tests.support.service import ROOT

_SHIPPED = ("app", "models", "pyproject.toml", "README.md", "LICENSE")
_PROBE = """
import importlib.util
from pathlib import Path
import app, models
from app.dicom.sample import sample_dicom
from app.settings import Settings
from models.bundle import load
from models.bundle.random import Geometry, filled_tokenizer, make_bundle
from models.training.recipe import load_recipe, names

assert importlib.util.find_spec("benchmarks") is None
for package in (app, models):
    folder = Path(package.__file__).parent
    assert folder.is_relative_to(PREFIX), folder
    assert (folder / "py.typed").is_file()
assert load(Settings().bundle).image_tokens == 256
assert len(sample_dicom()) > 100_000
assert sorted(names()) == RECIPES and all(load_recipe(name).name for name in names())
assert load(make_bundle(Path("random"), Geometry(hidden=32, layers=1, heads=1))).vocabulary.size == 51_305
"""


def _run(*command: str | Path, folder: Path, status: int = 0) -> str:
    outside = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("CXR_")
    }
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=outside)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; the tests' own environment lends the dependencies, and no checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    # setuptools leaves `build/` in what it builds from, and takes up what an older build has left there.
    source = folder / "source"
    source.mkdir()
    for name in _SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    _run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source, folder=folder)
    (wheel,) = folder.glob("*.whl")
    _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    python = folder / "venv" / "bin" / "python"
    _run(*pip, "--python", python, "install", "--no-deps", "--no-index", "--no-compile", wheel, folder=folder)
    # Only the folder is lent: the .pth files in it, an editable checkout's among them, are not read from there.
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return folder / "venv"


def test_its_commands_start(installed: Path, tmp_path: Path) -> None:
    assert "--dicom" in _run(installed / "bin" / "cxr", "demo", "--help", folder=tmp_path)
    said = _run(installed / "bin" / "cxr", "bench", "--scenario", "floor", folder=tmp_path, status=2)
    assert "python -m benchmarks" in " ".join(said.split())


def test_it_brings_bundle_sample_and_recipes(installed: Path, tmp_path: Path) -> None:
    recipes = sorted(file.stem for file in (ROOT / "models" / "training" / "recipes").glob("*.toml"))
    probe = f"PREFIX = {str(installed)!r}\nRECIPES = {recipes!r}\n{_PROBE}"
    _run(installed / "bin" / "python", "-c", probe, folder=tmp_path)


def test_it_serves_the_page(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    program = (str(installed / "bin" / "python"), "-m", "app.server.fakes")
    with Service(tmp_path, program=program, alone=True, start_timeout=60) as service:
        page = httpx.get(f"{service.url}/").raise_for_status()
        assert "<html" in page.text
        for file in (ROOT / "app" / "ui").iterdir():
            if file.name != "index.html":
                assert httpx.get(f"{service.url}/ui/{file.name}").content == file.read_bytes()
        drawn = httpx.post(f"{service.url}/v1/images/generations", json={"prompt": "Normal."}, timeout=30)
        assert drawn.status_code == 200
        assert service.stop() == 0
