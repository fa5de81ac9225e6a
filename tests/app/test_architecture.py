"""Dependencies point one way (design, section 2)."""

import ast
from pathlib import Path

import pytest
from support import ROOT

from app import errors
from app.api.problems import STATUS, status_of

# A package may import from those after it, never from those before it.
LAYERS = ("cli", "commands", "main", "api", "jobs", "rendering", "pipelines", "services")
PARTS = {"codec", "engine", "imaging", "dicom", "telemetry", "settings", "errors", "schemas"}


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def _modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_models_import_nothing_from_app() -> None:
    for path in _modules("models"):
        assert not [name for name in _imports(path) if name.split(".")[0] == "app"], path


def test_only_the_engine_adapter_imports_vllm() -> None:
    for path in _modules("app") + _modules("models"):
        if any(name.split(".")[0] == "vllm" for name in _imports(path)):
            # The raw pipeline is what the adapter is measured against.
            assert path.relative_to(ROOT / "app").as_posix() in (
                "engine/vllm.py",
                "engine/masking.py",
                "bench/peers/raw.py",
            )


@pytest.mark.parametrize("part", ["codec", "engine", "imaging", "dicom", "store", "telemetry"])
def test_parts_import_no_layer_above_them(part: str) -> None:
    for path in _modules(f"app/{part}"):
        above = {name.split(".")[1] for name in _imports(path) if name.startswith("app.")} & set(LAYERS)
        assert not above, path


def test_nothing_that_serves_imports_the_benchmarks() -> None:
    for path in _modules("app"):
        if path.parent != ROOT / "app" / "bench" and "bench" not in path.parts and path.name != "cli_bench.py":
            assert not [name for name in _imports(path) if name.startswith("app.bench")], path


def test_pipelines_know_nothing_of_http() -> None:
    names = _imports(ROOT / "app" / "pipelines.py")
    assert not [name for name in names if name.split(".")[0] in ("fastapi", "starlette") or name.startswith("app.api")]


def test_files_stay_small() -> None:
    long = [
        (path, n) for path in _modules("app") + _modules("models") if (n := len(path.read_text().splitlines())) > 260
    ]
    assert not long


def test_every_exception_of_the_tree_has_a_status() -> None:
    def below(kind: type[errors.CxrError]) -> list[type[errors.CxrError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in below(child))]

    listed = {kind for kind, _, _ in STATUS}
    for kind in below(errors.CxrError):
        status, _ = status_of(kind("x"))
        assert 400 <= status < 600
        if kind is not errors.CxrError and issubclass(kind, errors.InputError):
            assert status < 500
    positions = [kind for kind, _, _ in STATUS]
    for index, kind in enumerate(positions):
        assert not any(issubclass(later, kind) for later in positions[index + 1 :]), kind
    assert errors.CxrError in listed
