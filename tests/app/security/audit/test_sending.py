"""The service and its commands send their events to the repository that the settings name."""

import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app as cli
from app.cli.preflight import problems
from app.errors import CxrError
from app.settings import Settings
from tests.support.audit import events_of
from tests.support.certificates import Authority
from tests.support.repository import Repository, sending_to
from tests.support.service import running

pytestmark = pytest.mark.usefixtures("short_waits")


def wait_for(found: Any, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not found() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found()


async def test_the_service_sends_its_events_from_its_start_to_its_stop(
    repository: Repository, authority: Authority, settings: Settings
) -> None:
    exporting = settings.model_copy(update={"audit": sending_to(repository.port, authority)})
    async with running(exporting) as service:
        assert (await service.client.get("/v1/models")).status_code == 200
    types = [one.find("EventIdentification/EventTypeCode") for one in repository.documents]
    told = [one.get("originalText") for one in types if one is not None]
    assert told == ["Application Start", "Application Stop"]


async def test_a_certificate_that_cannot_be_used_refuses_the_start_in_words(
    tmp_path: Path, authority: Authority, settings: Settings
) -> None:
    missing = sending_to(1, authority, syslog_ca_file=tmp_path / "no.pem")
    exporting = settings.model_copy(update={"audit": missing})
    assert problems(exporting) == [
        f"CXR_AUDIT__SYSLOG_CA_FILE: {tmp_path}/no.pem cannot be used: No such file or directory"
    ]
    with pytest.raises(CxrError, match="CXR_AUDIT__SYSLOG_CA_FILE"):
        async with running(exporting):
            pass


def test_commands_send_their_events_and_say_where_they_could_not(
    repository: Repository, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    given = {"HOST": "localhost", "PORT": str(repository.port), "CA_FILE": str(authority.file)}
    for name, value in given.items():
        monkeypatch.setenv(f"CXR_AUDIT__SYSLOG_{name}", value)
    command = ["keys", "list", "--state-dir", str(tmp_path / "state")]
    done = CliRunner().invoke(cli, command)
    assert (done.exit_code, "could not be sent" in done.output) == (0, False)
    wait_for(lambda: repository.documents)
    (document,) = repository.documents
    assert document.find("ActiveParticipant").get("UserName") == "operator"  # type: ignore[union-attr]
    repository.stop()
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0
    assert "could not be sent to localhost: ConnectionRefusedError" in " ".join(done.output.split())
    assert len(events_of(tmp_path / "state")) == 2
