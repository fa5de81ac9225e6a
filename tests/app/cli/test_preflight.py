"""What keeps a service from starting is one list."""

import contextlib
import socket
import sqlite3
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from app.cli import app
from app.cli.preflight import problems
from app.security.identity import Scope
from app.security.keys import Keys
from app.settings import AuthSettings, DimseSettings, Settings, TlsSettings


def test_the_defaults_have_no_problem(settings: Settings) -> None:
    assert problems(settings) == []


def test_a_network_address_needs_a_key_or_to_be_told(settings: Settings) -> None:
    outside = settings.model_copy(update={"host": "0.0.0.0"})
    assert "cxr keys create" in problems(outside)[0]
    assert problems(outside.model_copy(update={"auth": AuthSettings(mode="off")})) == []
    Keys(outside.keys_file).create("a", (Scope.INFER,))
    assert problems(outside) == []


def test_everything_that_is_wrong_is_said_at_once(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = problems(
        settings.model_copy(
            update={
                "bundle": tmp_path,
                "tls": TlsSettings(certificate=tmp_path / "no.pem", key=tmp_path / "no.key"),
                "auth": AuthSettings(mode="required"),
                "state_dir": tmp_path / "file" / "state",
            }
        )
    )
    assert [line.partition(":")[0] for line in found] == [
        "CXR_BUNDLE",
        "CXR_TLS__CERTIFICATE",
        "CXR_TLS__KEY",
        "CXR_AUTH__MODE",
        "CXR_STATE_DIR",
    ]


def test_a_python_with_too_old_an_sqlite_is_refused_unless_the_database_is_another(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    (sentence,) = problems(settings)
    assert "SQLite 3.34.1" in sentence
    assert "3.35 or newer" in sentence
    assert problems(settings.model_copy(update={"database_url": SecretStr("postgresql://localhost/cxr")})) == []


def test_serve_says_so_and_does_not_start(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["serve", "--host", "0.0.0.0", "--state-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "CXR_HOST" in result.output


def test_doctor_shows_what_is_there_and_fails_where_something_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("CXR_PORT", "0")
    run = CliRunner()
    good = run.invoke(app, ["doctor", "--state-dir", str(tmp_path)])
    assert good.exit_code == 0, good.output
    assert "every SHA-256 as listed" in good.output
    monkeypatch.setenv(
        "CXR_DESTINATIONS", '[{"name": "pacs", "dicomweb_url": "http://127.0.0.1:9/dicom-web", "timeout_seconds": 2}]'
    )
    bad = run.invoke(app, ["doctor", "--state-dir", str(tmp_path)])
    assert bad.exit_code == 1
    assert "could not be reached" in bad.output


@pytest.mark.parametrize(
    ("dimse", "refused"),
    [
        ({"port": 11112}, True),
        ({"port": 11112, "host": "0.0.0.0"}, True),
        ({"port": 11112, "host": "::"}, True),
        ({"port": 11112, "host": "127.0.0.1"}, False),
        ({"port": 11112, "allowed_aes": ("PACS",)}, False),
        ({"port": 11112, "tls_client_ca": Path("/etc/hostname")}, False),
        ({"port": 11112, "open_to_all": True}, False),
        ({}, False),
    ],
)
def test_dimse_on_a_network_needs_to_know_who_may_store(
    settings: Settings, dimse: dict[str, object], refused: bool
) -> None:
    chosen = settings.model_copy(update={"host": "10.1.2.3", "dimse": DimseSettings(**dimse)})  # type: ignore[arg-type]
    assert any("CXR_DIMSE__ALLOWED_AES" in line for line in problems(chosen)) is refused


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"CXR_AUTH_MODE": "required"}, "did you mean CXR_AUTH__MODE?"),
        ({"CXR_DESTINATIONS": '[{"name":"a"'}, "CXR_DESTINATIONS: the value is no JSON"),
        ({"CXR_PORT": "tcp://10.0.0.1:8080"}, "enableServiceLinks"),
        ({"CXR_LIMITS__STORAGE": "nonsense://"}, "CXR_LIMITS__STORAGE"),
    ],
)
def test_a_setting_that_cannot_be_is_a_sentence_and_no_traceback(
    tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    told = CliRunner().invoke(app, ["serve", "--state-dir", str(tmp_path)], env={**environment, "COLUMNS": "200"})
    assert told.exit_code == 2
    assert words in told.output
    assert "Traceback" not in told.output


def test_a_taken_port_is_found_before_anything_starts(tmp_path: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        told = CliRunner().invoke(app, ["serve", "--state-dir", str(tmp_path), "--port", port])
    assert told.exit_code == 2
    assert "cannot be listened on" in told.output
