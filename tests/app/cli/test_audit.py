"""`cxr audit`: what an operator is told, and what of that is an event itself."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli import app as cli
from app.security.audit import AuditLog, Kind, audit_file
from app.security.identity import Pseudonyms
from app.settings import Settings
from tests.support.audit import events_of
from tests.support.service import running
from tests.support.studies import finished, instance, parsed, quick, stow


def run(*arguments: str, state: Path) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--state-dir", str(state)], env={"COLUMNS": "250"})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A state folder with some events."""
    written = AuditLog(audit_file(tmp_path), Pseudonyms.from_state_dir(tmp_path))
    ann: dict[str, Any] = {"studies": ["1.2.3"], "patients": ["ANN"]}
    written.note(Kind.RETRIEVED, "key:1", "GET /dicom-web/studies/{study}", "200", source="10.0.0.7", **ann)
    written.note(Kind.QUERY, "key:2", "GET /dicom-web/studies", "200", source="10.0.0.8", patients=["ANN", "BOB"])
    written.note(Kind.RETRIEVED, "key:1", "GET /dicom-web/studies/{study}", "200", source="10.0.0.9", patients=["BOB"])
    written.note(Kind.RECEIVED, "ae:CR1", "C-STORE", "stored", source="10.0.0.5", **ann)
    written.close()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "sources"),
    [
        (("--patient", "ANN"), ["10.0.0.7", "10.0.0.8", "10.0.0.5"]),
        (("--patient", "BOB"), ["10.0.0.8", "10.0.0.9"]),
        (("--study", "1.2.3"), ["10.0.0.7", "10.0.0.5"]),
        (("--key", "1"), ["10.0.0.7", "10.0.0.9"]),
        (("--patient", "NOBODY"), []),
    ],
)
def test_who_had_to_do_with_it_is_told_from_the_log(log: Path, arguments: tuple[str, str], sources: list[str]) -> None:
    told = run("audit", "who", *arguments, "--json", state=log)
    assert told.exit_code == 0, told.output
    lines = [line for line in told.stdout.splitlines() if line.startswith("{")]
    assert [json.loads(line)["source"] for line in lines] == sources
    shown = run("audit", "who", *arguments, state=log).output
    assert all(source in shown for source in sources)
    asked = [one for one in events_of(log) if one["event"] == Kind.AUDIT_READ]
    assert len(asked) == 2
    assert all(one["account"] and one["pid"] for one in asked)


def test_a_revoked_keys_doings_are_found_by_its_name(tmp_path: Path) -> None:
    made = run("keys", "create", "leaked", "--scope", "dicom:read", state=tmp_path)
    identity = made.stdout.split("_")[1]
    run("keys", "list", state=tmp_path)
    run("keys", "revoke", identity, state=tmp_path)
    written = AuditLog(audit_file(tmp_path), Pseudonyms.from_state_dir(tmp_path))
    written.note(Kind.RETRIEVED, f"key:{identity}", "GET", "200", source="10.0.0.7")
    written.close()
    assert "10.0.0.7" in run("audit", "who", "--key", "leaked", state=tmp_path).output
    kinds = [one["event"] for one in events_of(tmp_path)]
    assert kinds[:3] == [Kind.KEYS_CHANGED, Kind.KEYS_LISTED, Kind.KEYS_CHANGED]


def test_a_broken_log_is_shown_and_said_to_prove_nothing(log: Path) -> None:
    path = audit_file(log)
    path.write_text(path.read_text().replace("10.0.0.9", "10.0.0.1") + "no record\n")
    told = run("audit", "who", "--patient", "ANN", state=log)
    assert told.exit_code == 1
    assert all(source in told.output for source in ("10.0.0.7", "10.0.0.8", "10.0.0.5"))
    assert "nothing of this is proven" in " ".join(told.output.split())


async def test_a_rollback_of_all_files_is_found_after_the_service_has_written_on(settings: Settings) -> None:
    folder = audit_file(settings.state_dir).parent
    async with running(quick(settings), durable=True):
        pass
    copies = {file: file.read_bytes() for file in folder.iterdir()}
    async with running(quick(settings), durable=True) as service:
        for _ in range(5):
            await service.client.get("/v1/jobs")
    for file, data in copies.items():
        file.write_bytes(data)
    for _ in range(3):
        async with running(quick(settings), durable=True) as service:
            for _ in range(9):
                await service.client.get("/v1/jobs")
        assert run("audit", "verify", state=settings.state_dir).exit_code == 1


def test_the_folder_that_a_command_makes_is_closed(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        run("keys", "create", "a", "--scope", "infer", state=tmp_path / "state")
    finally:
        os.umask(before)
    for file in [tmp_path / "state", *(tmp_path / "state").rglob("*")]:
        assert file.stat().st_mode & 0o077 == 0, file


@pytest.mark.parametrize("arguments", [(), ("--patient", "A", "--study", "1")])
def test_one_question_at_a_time(log: Path, arguments: tuple[str, ...]) -> None:
    assert run("audit", "who", *arguments, state=log).exit_code != 0


def test_a_log_that_is_not_there_is_said(tmp_path: Path) -> None:
    for arguments in (("audit", "verify"), ("audit", "who", "--patient", "A")):
        told = run(*arguments, state=tmp_path)
        assert told.exit_code == 1
        assert "no audit log" in " ".join(told.output.split())
        assert not (tmp_path / "secret").exists()


@pytest.mark.parametrize("kind", ["cut", "emptied", "renamed", "changed"])
async def test_verify_knows_the_end_from_the_services_database(settings: Settings, kind: str) -> None:
    async with running(quick(settings), durable=True) as service:
        data = instance()
        await stow(service.client, data)
        await finished(service.client, str(parsed(data).StudyInstanceUID))
    path, state = audit_file(settings.state_dir), settings.state_dir
    whole = run("audit", "verify", state=state)
    assert whole.exit_code == 0, whole.output
    lines = path.read_text().splitlines()
    if kind == "cut":
        path.write_text("\n".join(lines[:-3]) + "\n")
    elif kind == "emptied":
        path.write_text("")
    elif kind == "renamed":
        path.rename(path.with_name("x"))
    else:
        path.write_text("\n".join([*lines[:-1], lines[-1].replace('"outcome":"', '"outcome":"x')]) + "\n")
    for _ in range(2):
        found = run("audit", "verify", state=state)
        assert found.exit_code == 1
        assert "Traceback" not in found.output
        async with running(quick(settings), durable=True):
            pass
