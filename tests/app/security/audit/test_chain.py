"""The files of the audit log: a chain under a secret, over several files, processes and releases."""

import hashlib
import json
import multiprocessing
from pathlib import Path

import pytest

from app.security.audit import AuditBroken, Head, Kind, append, records, verify
from app.security.audit.chain import files_of
from app.security.audit.lines import digest
from tests.support.audit import KEY, an_event, events_in, written


def test_events_are_chained_over_several_starts(path: Path) -> None:
    written(path, 3)
    written(path, 2)
    assert [record["request_id"] for record in events_in(path)] == ["0", "1", "2", "0", "1"]
    assert path.stat().st_mode & 0o077 == 0
    assert [record["number"] for record in records(path, KEY)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("kind", ["changed", "removed", "swapped", "added", "made anew", "as the first release"])
def test_any_change_is_found_at_its_line(path: Path, kind: str) -> None:
    lines = written(path)
    if kind == "changed":
        lines[2] = lines[2].replace('"200"', '"403"')
    elif kind == "removed":
        del lines[2]
    elif kind == "swapped":
        lines[2], lines[3] = lines[3], lines[2]
    elif kind == "added":
        lines.insert(2, json.dumps({"who": "me", "previous": "0" * 64, "hash": "0" * 64}))
    else:
        lines[2:] = made_anew(lines[1:], numbered=kind == "made anew")
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(AuditBroken) as broken:
        list(records(path, KEY))
    assert broken.value.line == 3
    assert "audit.jsonl line 3" in broken.value.detail


def made_anew(lines: list[str], *, numbered: bool) -> list[str]:
    """A chain without the secret behind the first of the lines, which stays as it is."""
    previous, made = json.loads(lines[0])["hash"], []
    for line in lines[1:]:
        record = {**json.loads(line), "outcome": "403", "previous": previous}
        del record["hash"]
        if not numbered:
            del record["number"]
        previous = digest(record, None)
        made.append(json.dumps({**record, "hash": previous}))
    return made


@pytest.mark.parametrize("kind", ["last lines cut", "emptied", "renamed", "removed", "last byte cut", "begun anew"])
def test_an_end_that_is_not_there_is_found_by_a_head_that_was_noted(path: Path, kind: str) -> None:
    lines = written(path)
    noted = [Head(6, json.loads(lines[-1])["hash"])]
    assert verify(path, KEY, noted).events == 6
    if kind == "last lines cut":
        path.write_text("\n".join(lines[:-2]) + "\n")
    elif kind == "emptied":
        path.write_text("")
    elif kind == "renamed":
        path.rename(path.with_name("elsewhere.jsonl"))
    elif kind == "removed":
        path.unlink()
    elif kind == "last byte cut":
        path.write_text("\n".join([*lines[:-1], lines[-1][:-1]]))
        with pytest.raises(AuditBroken, match="not whole"):
            verify(path, KEY)
    else:
        path.unlink()
        written(path, 9)
    for _ in range(2):
        with pytest.raises((AuditBroken, FileNotFoundError)):
            verify(path, KEY, noted)
        append(path, [an_event(1)], KEY)  # what the service writes next mends nothing


@pytest.mark.parametrize("kind", ["last lines cut", "emptied", "last line torn", "note removed", "note changed"])
def test_a_cut_end_is_found_by_the_note_beside_the_log(path: Path, kind: str) -> None:
    lines = written(path)
    note = path.with_suffix(".head")
    if kind == "last lines cut":
        path.write_text("\n".join(lines[:-2]) + "\n")
    elif kind == "emptied":
        path.write_text("")
    elif kind == "last line torn":
        path.write_text("\n".join(lines)[:-9])
    elif kind == "note removed":
        note.unlink()
    else:
        note.write_text(note.read_text().replace('"number": 6', '"number": 5'))
    for _ in range(3):
        with pytest.raises(AuditBroken):
            verify(path, KEY)
        append(path, [an_event(1)], KEY)  # what is written next buries nothing


@pytest.mark.parametrize("kind", ["renamed", "removed", "emptied"])
def test_a_file_that_begins_anew_says_that_the_one_before_is_missing(path: Path, kind: str) -> None:
    written(path)
    if kind == "renamed":
        path.rename(path.with_suffix(".1"))
    elif kind == "removed":
        path.unlink()
    else:
        path.write_text("")
    append(path, [an_event(1)], KEY)
    with pytest.raises(AuditBroken, match="6 events before this one were cut off"):
        verify(path, KEY)


def test_what_a_crash_left_of_a_line_stays_and_is_told_as_a_hole(path: Path) -> None:
    written(path)
    with path.open("a") as file:
        file.write('{"time": "2026')
    with pytest.raises(AuditBroken, match="not whole"):
        verify(path, KEY)
    written(path, 1)
    found = verify(path, KEY)
    assert (found.events, found.holes) == (8, 1)
    assert [one["bytes"] for one in events_in(path) if one["event"] == Kind.TORN] == [14]
    path.write_text(path.read_text().replace('{"time": "2026\n', '{"time": "2027x\n'))
    with pytest.raises(AuditBroken):
        verify(path, KEY)


def test_a_large_file_is_put_aside_and_the_next_one_names_it(path: Path) -> None:
    for number in range(6):
        append(path, [an_event(number)], KEY, most_bytes=500)
    names = [file.name for file in files_of(path)]
    assert len(names) > 2
    assert names[-1] == "audit.jsonl"
    assert [one["request_id"] for one in events_in(path)] == [str(number) for number in range(6)]
    begun = [one for one in records(path, KEY) if one["event"] == Kind.OPENED]
    assert [one["before"] for one in begun] == ["none", *names[:-1]]
    assert next(one["request_id"] for one in records(path, KEY, names[1]) if "request_id" in one) != "0"


@pytest.mark.parametrize("which", [0, 1, -2, -1])
def test_a_file_that_is_missing_among_those_put_aside_is_found(path: Path, which: int) -> None:
    for number in range(8):
        append(path, [an_event(number)], KEY, most_bytes=500)
    files_of(path)[which].unlink()
    with pytest.raises(AuditBroken):
        list(records(path, KEY))


def test_a_log_of_the_first_release_is_checked_as_it_was_written_and_goes_on_under_the_secret(path: Path) -> None:
    path.parent.mkdir()
    previous, lines = "0" * 64, []
    for number in range(3):
        record = {"time": "t", "who": "key:1", "what": "GET", "outcome": "200", "id": number, "previous": previous}
        previous = hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        lines.append(json.dumps({**record, "hash": previous}, separators=(",", ":")))
    path.write_text("\n".join(lines) + "\n")
    assert verify(path, KEY).events == 3
    written(path, 2)
    assert [file.name for file in files_of(path)] == ["audit-000001.jsonl", "audit.jsonl"]
    assert verify(path, KEY).head.number == 6
    old = path.with_name("audit-000001.jsonl")
    old.write_text(old.read_text().replace('"id":2', '"id":3'))
    with pytest.raises(AuditBroken):
        verify(path, KEY)


@pytest.mark.parametrize("known", [True, False])
def test_an_old_copy_of_log_and_note_is_not_grown_over(path: Path, known: bool) -> None:
    written(path)
    note = path.with_suffix(".head")
    copy = path.read_text(), note.read_text()
    head = Head()
    for number in range(3):
        head = append(path, [an_event(number)], KEY)
    path.write_text(copy[0])
    note.write_text(copy[1])
    if not known:
        append(path, [an_event(number) for number in range(9)], KEY)
    append(path, [an_event(1)], KEY, known=[head])
    with pytest.raises(AuditBroken, match="cut off" if known else "replaced"):
        verify(path, KEY)


@pytest.mark.parametrize("fragments", [["{"], ["{", '{"a": 1'], ['{"time": "2026', "x", "{}"]])
@pytest.mark.parametrize("begun", [True, False])
def test_lines_that_crashes_left_one_after_another_are_one_hole(path: Path, fragments: list[str], begun: bool) -> None:
    path.parent.mkdir()
    if begun:
        written(path, 2)
    for fragment in fragments:  # each crash while the one before was to be told
        with path.open("a") as file:
            file.write(fragment + ("" if fragment is fragments[-1] else "\n"))
    append(path, [an_event(1)], KEY)
    found = verify(path, KEY)
    assert found.holes == 1
    append(path, [an_event(2)], KEY)
    assert verify(path, KEY).holes == 1


def test_a_line_that_says_the_same_in_other_bytes_was_changed(path: Path) -> None:
    lines = written(path, 2)
    for line in (lines[1].replace('"who":', '"who":"somebody","who":'), lines[1].replace(",", ", ", 1), " " + lines[1]):
        path.write_text("\n".join([lines[0], line, lines[2]]) + "\n")
        with pytest.raises(AuditBroken):
            verify(path, KEY)


def _append(path: Path, count: int) -> None:
    for number in range(count):
        append(path, [an_event(number)], KEY, most_bytes=5_000)


def test_several_processes_append_to_one_chain_over_its_files(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append, args=(path, 40)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert len(events_in(path)) == 120
    assert len(files_of(path)) > 2


@pytest.mark.parametrize("line", ["[" * 100_000, "{}", "5", '{"hash": 1}', "\x00", '{"hash": [], "previous": {}}'])
def test_a_line_that_is_none_is_named_without_a_traceback(path: Path, line: str) -> None:
    lines = written(path, 2)
    for place in range(4):
        path.write_text("\n".join([*lines[:place], line, *lines[place:]]) + "\n")
        with pytest.raises(AuditBroken):
            list(records(path, KEY))


def test_another_secret_verifies_nothing(path: Path) -> None:
    written(path)
    with pytest.raises(AuditBroken, match="changed"):
        list(records(path, b"another"))


def test_a_run_that_has_ended_says_so_last(path: Path) -> None:
    written(path)
    assert not verify(path, KEY).stopped
    append(path, [{**an_event(1), "event": Kind.STOP}], KEY)
    assert verify(path, KEY).stopped
