"""The audit log: a chain that shows every change."""

import json
import multiprocessing
from pathlib import Path

import pytest

from app.security.audit import AuditBroken, AuditLog, append, records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "audit.jsonl"


def written(path: Path, count: int = 5) -> list[str]:
    log = AuditLog(path)
    for number in range(count):
        log.note("key:1", "POST /v1/reports", "200", request_id=str(number))
    log.close()
    return path.read_text().splitlines()


def test_events_are_chained_over_several_starts(path: Path) -> None:
    written(path, 3)
    written(path, 2)
    assert [record["request_id"] for record in records(path)] == ["0", "1", "2", "0", "1"]
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kind", ["changed", "removed", "swapped", "added"])
def test_any_change_is_found_at_its_line(path: Path, kind: str) -> None:
    lines = written(path)
    if kind == "changed":
        lines[2] = lines[2].replace('"200"', '"403"')
    elif kind == "removed":
        del lines[2]
    elif kind == "swapped":
        lines[2], lines[3] = lines[3], lines[2]
    else:
        lines.insert(2, json.dumps({"who": "me", "previous": "0" * 64, "hash": "0" * 64}))
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(AuditBroken) as broken:
        list(records(path))
    assert broken.value.line == 3


def test_a_line_that_a_crash_cut_off_is_dropped_and_the_chain_goes_on(path: Path) -> None:
    written(path)
    with path.open("a") as file:
        file.write('{"time": "2026')
    written(path, 1)
    assert len(list(records(path))) == 6


def _append(path: Path, count: int) -> None:
    for number in range(count):
        append(path, [{"who": "x", "number": number}])


def test_several_processes_append_to_one_chain(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append, args=(path, 40)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert len(list(records(path))) == 120
