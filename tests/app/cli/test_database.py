"""`cxr db`: status says what is there and changes nothing, migrate brings it up, and both refuse in one sentence."""

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.store.database import Database, database_url
from app.store.migrations import MIGRATIONS
from tests.support.service import ROOT

RUN = CliRunner()
FIRST_RELEASE = ROOT / "tests" / "app" / "store" / "first_release.sql"


def db(command: str, state: Path) -> tuple[int, str]:
    done = RUN.invoke(app, ["db", command, "--state-dir", str(state)])
    return done.exit_code, " ".join(done.output.split())


@pytest.fixture
def first_release(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "cxr.sqlite")
    connection.executescript(FIRST_RELEASE.read_text())
    connection.close()
    return tmp_path


def test_a_database_of_the_first_release_is_reported_and_then_migrated(first_release: Path) -> None:
    status, said = db("status", first_release)
    assert status == 1
    assert f"Schema version 0; this release has {len(MIGRATIONS)}." in said
    assert all(migration.name in said for migration in MIGRATIONS)
    status, said = db("migrate", first_release)
    assert status == 0
    assert all(f"Applied: {migration.name}" in said for migration in MIGRATIONS)
    assert db("status", first_release) == (0, f"Schema version {len(MIGRATIONS)}; this release has {len(MIGRATIONS)}.")
    assert db("migrate", first_release) == (0, f"The schema has version {len(MIGRATIONS)}.")


@pytest.mark.parametrize("command", ["status", "migrate"])
def test_a_newer_schema_is_refused(tmp_path: Path, command: str) -> None:
    database = Database(database_url(None, tmp_path))
    with database.transaction() as connection:
        connection.exec_driver_sql("INSERT INTO cxr_schema (version, name) VALUES (99, 'later')")
    database.close()
    status, said = db(command, tmp_path)
    assert status == 1
    assert "schema version 99" in said


@pytest.mark.parametrize("command", ["status", "migrate"])
def test_a_folder_without_a_database_is_left_as_it_is(tmp_path: Path, command: str) -> None:
    status, said = db(command, tmp_path)
    assert (status, list(tmp_path.iterdir())) == (1, [])
    assert "There is no database" in said


@pytest.mark.parametrize("command", ["status", "migrate"])
def test_a_database_that_does_not_answer_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("CXR_DATABASE_URL", "postgresql://cxr@127.0.0.1:1/cxr")
    status, said = db(command, tmp_path)
    assert status == 1
    assert said.startswith("The database cannot be used.")
