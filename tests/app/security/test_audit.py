"""The audit log: a chain that shows every change."""

import json
import multiprocessing
import time
from pathlib import Path

import pytest

from app.security import audit
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


def test_refusals_of_unknown_clients_are_one_event_a_second_a_source(path: Path) -> None:
    log = AuditLog(path)
    for number in range(3000):
        log.refuse(f"10.0.0.{number % 3}", "POST /v1/reports", "401", request_id=str(number))
    log.refuse("10.0.0.9", "GET /metrics", "403", request_id="alone")
    log.close()
    found = {record["source"]: record for record in records(path)}
    assert [found[f"10.0.0.{number}"]["requests"] for number in range(3)] == [1000] * 3
    assert (found["10.0.0.9"]["what"], found["10.0.0.9"]["request_id"]) == ("GET /metrics", "alone")
    assert path.stat().st_size < 2000


def test_a_second_passes_and_refusals_are_written_without_another(path: Path) -> None:
    log = AuditLog(path)
    log.refuse("10.0.0.1", "POST /v1/reports", "401")
    deadline = time.monotonic() + 10
    while not (path.exists() and path.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [record["source"] for record in records(path)] == ["10.0.0.1"]
    log.close()


def test_sources_without_number_are_counted_together(path: Path) -> None:
    log = AuditLog(path)
    for number in range(5000):
        log.refuse(f"10.{number // 250}.{number % 250}.1", "POST /v1/reports", "401")
    log.close()
    found = list(records(path))
    assert len(found) <= 65
    assert sum(record.get("requests", 1) for record in found) == 5000


def test_events_of_a_folder_that_was_away_are_written_when_it_is_back(path: Path) -> None:
    log = AuditLog(path)
    path.parent.rmdir()
    path.parent.write_text("")
    for number in range(7):
        log.note("key:1", "GET /dicom-web/studies", "200", request_id=str(number))
        time.sleep(0.06)
    path.parent.unlink()
    log.note("key:1", "GET /dicom-web/studies", "200", request_id="7")
    log.close()
    assert [record["request_id"] for record in records(path)] == [str(number) for number in range(8)]


def test_what_could_not_be_held_is_an_event_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_MOST_HELD", 3)
    log = AuditLog(path)
    path.parent.rmdir()
    path.parent.write_text("")
    for number in range(10):
        log.note("key:1", "GET", "200", request_id=str(number))
    time.sleep(0.3)
    path.parent.unlink()
    log.note("key:1", "GET", "200", request_id="last")
    log.close()
    *kept, lost = records(path)
    assert [record["request_id"] for record in kept] == ["0", "1", "2"]
    assert (lost["what"], lost["events"]) == ("lost", 8)


@pytest.mark.parametrize("line", ["[" * 100_000, "{}", "5", '{"hash": 1}', "\x00"])
def test_a_line_that_is_none_is_named_without_a_traceback(path: Path, line: str) -> None:
    written(path, 2)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(AuditBroken) as broken:
        list(records(path))
    assert broken.value.line == 3
    written(path, 1)
