"""The audit log as the service writes it: refusals counted, events held, its head noted elsewhere."""

import time
from pathlib import Path
from typing import Any

import pytest

from app.security.audit import AuditLog, Head, Kind
from app.security.audit import log as audit_log
from tests.support.audit import PSEUDONYMS, events_in


@pytest.fixture
def log(path: Path) -> AuditLog:
    return AuditLog(path, PSEUDONYMS)


def search(log: AuditLog, number: object) -> None:
    log.note(Kind.QUERY, "key:1", "GET /dicom-web/studies", "200", request_id=str(number))


def wait_for(found: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not found() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found()


def test_studies_and_patients_are_pseudonyms_that_the_installation_finds_again(path: Path, log: AuditLog) -> None:
    log.note(Kind.QUERY, "key:1", "GET", "200", studies=["1.2.3", "1.2.3", ""], patients=["P1 ", "P1", " "], keys=[])
    log.close()
    (one,) = events_in(path)
    assert one["studies"] == [PSEUDONYMS("study 1.2.3")]
    assert one["patients"] == [PSEUDONYMS("patient P1")]
    assert "keys" not in one
    assert "1.2.3" not in path.read_text()


def test_refusals_of_unknown_clients_are_one_event_a_second_a_source(path: Path, log: AuditLog) -> None:
    for number in range(3000):
        log.refuse(Kind.REFUSED, f"10.0.0.{number % 3}", "POST /v1/reports", "401", request_id=str(number))
    log.refuse(Kind.REFUSED, "10.0.0.9", "GET /metrics", "403", request_id="alone")
    log.close()
    found = {record["source"]: record for record in events_in(path)}
    assert [found[f"10.0.0.{number}"]["requests"] for number in range(3)] == [1000] * 3
    assert (found["10.0.0.9"]["what"], found["10.0.0.9"]["request_id"]) == ("GET /metrics", "alone")
    assert path.stat().st_size < 3000


def test_a_second_passes_and_refusals_are_written_without_another(path: Path, log: AuditLog) -> None:
    log.refuse(Kind.REFUSED, "10.0.0.1", "POST /v1/reports", "401")
    wait_for(lambda: path.exists() and path.stat().st_size)
    assert [record["source"] for record in events_in(path)] == ["10.0.0.1"]
    log.close()


def test_sources_without_number_are_counted_together(path: Path, log: AuditLog) -> None:
    for number in range(5000):
        log.refuse(Kind.REFUSED, f"10.{number // 250}.{number % 250}.1", "POST /v1/reports", "401")
    log.close()
    found = events_in(path)
    assert len(found) <= 65
    assert sum(record.get("requests", 1) for record in found) == 5000


def test_events_of_a_folder_that_was_away_are_written_when_it_is_back(path: Path, log: AuditLog) -> None:
    path.parent.rmdir()
    path.parent.write_text("")
    for number in range(7):
        search(log, number)
        time.sleep(0.06)
    path.parent.unlink()
    search(log, 7)
    log.close()
    assert [record["request_id"] for record in events_in(path)] == [str(number) for number in range(8)]


def test_what_could_not_be_held_is_an_event_of_its_own(
    path: Path, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "_MOST_HELD", 3)
    path.parent.rmdir()
    path.parent.write_text("")
    for number in range(10):
        search(log, number)
    time.sleep(0.3)
    path.parent.unlink()
    search(log, "last")
    log.close()
    *kept, lost = events_in(path)
    assert [record["request_id"] for record in kept] == ["0", "1", "2"]
    assert (lost["event"], lost["events"]) == (Kind.LOST, 8)


def test_the_head_is_noted_within_about_a_second_without_another_event(path: Path, log: AuditLog) -> None:
    noted: list[Head] = []
    log.anchor = noted.append
    for number in range(3):
        search(log, number)
        time.sleep(0.2)
    wait_for(lambda: noted and noted[-1].number == 4, 5.0)
    assert len(noted) <= 3
    log.close()
    assert noted[-1].hash == list(events_in(path))[-1]["hash"]


def test_a_database_that_is_away_ends_nothing(path: Path, log: AuditLog) -> None:
    def fails(head: Head) -> None:
        raise OSError("away")

    log.anchor = fails
    search(log, 1)
    log.close()
    assert len(events_in(path)) == 1


def test_what_is_written_is_handed_on_with_the_hash_of_the_last(path: Path, log: AuditLog) -> None:
    told: list[dict[str, Any]] = []
    log.export = told.extend
    search(log, 1)
    log.close()
    assert told[-1]["request_id"] == "1"
    assert told[-1]["hash"] == events_in(path)[-1]["hash"]
