"""`python -m benchmarks.soak [--studies 60]`: rounds with faults, a line of JSON each; fails on a loss."""

import argparse
import contextlib
import datetime
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.contenders.process import ended_with_us
from benchmarks.machine import machine
from benchmarks.soak.faults import usual
from benchmarks.soak.run import Outcome, soak

_ROOT = Path(__file__).resolve().parents[2]
_DISK_MB = 6


@contextlib.contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A tmpfs of that size at `folder`; False where mounting is not allowed."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@contextlib.contextmanager
def _release(ref: str | None, folder: Path) -> Iterator[Path | None]:
    """A checkout of the release before."""
    if ref is None:
        yield None
        return
    folder.mkdir()
    archive = subprocess.run(["git", "-C", str(_ROOT), "archive", ref], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    yield folder


def _table(outcome: Outcome, seed: int, before: str | None) -> str:
    rows = {
        "studies, instances acknowledged": f"{outcome.studies}, {outcome.acknowledged} of {outcome.instances}",
        "faults": ", ".join(f"{name} {count}" for name, count in outcome.faults.items()),
        "upgrade in the middle": f"from {before}" if before else "to another process of the same release",
        "ended by itself": ", ".join(f"status {status}: {count}" for status, count in outcome.ends.items()),
        "destination": ", ".join(f"{name} {count}" for name, count in sorted(outcome.destination.items())),
        "jobs at the end": ", ".join(f"{state} {count}" for state, count in sorted(outcome.states.items())),
        "reports at the archive": str(outcome.reports),
        "lost, doubled, stuck; instances missing": (
            f"{outcome.lost}, {outcome.doubled}, {outcome.stuck}; {outcome.missing}"
        ),
        "seconds": f"{outcome.seconds:.0f}",
    }
    head = f"{datetime.date.today().isoformat()}, {machine()}, seed {seed}.\n\n| what | counted |\n|---|---|\n"
    return head + "".join(f"| {name} | {value} |\n" for name, value in rows.items())


def main() -> int:
    """Run the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the order of the faults")
    parser.add_argument("--down", type=float, default=45.0, help="seconds without a destination, in a second round")
    parser.add_argument("--database", help="PostgreSQL URL for one more round")
    parser.add_argument("--before", help="git revision of the release that the upgrade begins from")
    parser.add_argument("--table", type=Path, help="Markdown file for the first round's table")
    wanted = parser.parse_args()
    rounds: list[tuple[str, dict[str, Any]]] = [("every fault", {"faults": usual(wanted.studies), "has_upgrade": True})]
    if wanted.down:
        rounds.append(("destination down", {"faults": {"gateway": 3}, "down_seconds": wanted.down}))
    if wanted.database:
        rounds.append(("postgresql", {"faults": {"gateway": 5}, "CXR_DATABASE_URL": wanted.database}))
    for number, (name, options) in enumerate(rounds):
        random.seed(wanted.seed)
        studies = wanted.studies if number == 0 else min(wanted.studies, 60)
        with ended_with_us(), tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            place = Path(folder)
            if number == 0:
                if not stack.enter_context(_small_disk(place / "disk" / "state", 200 + _DISK_MB * studies)):
                    print("No file system of a given size can be mounted here: the disk does not run full.")
                    options["faults"].pop("disk full")
                place /= "disk"
                options["upgrade_from"] = stack.enter_context(_release(wanted.before, Path(folder) / "before"))
            outcome = soak(place, studies, **options)
            print(name, json.dumps(asdict(outcome)), flush=True)
            if number == 0 and wanted.table is not None:
                wanted.table.write_text(f"# Soak\n\n{_table(outcome, wanted.seed, wanted.before)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
