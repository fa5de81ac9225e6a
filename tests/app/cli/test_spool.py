"""Another database, bound by hand: nothing that was acknowledged is deleted, and all of it is taken in again."""

import os
import shutil
import socket
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.server.run import FAILED_STATUS
from tests.support.process import ServiceProcess
from tests.support.studies import instance, multipart, parsed

RUN = CliRunner()


def spool(command: str, state: Path) -> tuple[int, str]:
    done = RUN.invoke(app, ["spool", command, "--state-dir", str(state)])
    return done.exit_code, " ".join(done.output.split())


def _done(service: ServiceProcess) -> set[str]:
    service.wait_until_over(3)
    return {job["study_instance_uid"] for job in service.jobs(state="done")["data"]}


@pytest.mark.parametrize("command", ["status", "adopt", "bind"])
def test_a_folder_without_a_spool_is_left_as_it_is(tmp_path: Path, command: str) -> None:
    status, said = spool(command, tmp_path)
    assert (status, list(tmp_path.iterdir())) == (1, [])
    assert "There is no spool" in said


def test_what_another_database_does_not_know_is_taken_in_again(tmp_path: Path) -> None:
    studies = [instance() for _ in range(3)]
    uids = {str(parsed(data).StudyInstanceUID) for data in studies}
    with ServiceProcess(tmp_path) as service:
        for data in studies:
            body, headers = multipart([data])
            answer = httpx.post(f"{service.url}/dicom-web/studies", content=body, headers=headers, timeout=30)
            assert answer.status_code == 200
        assert _done(service) == uids
        service.kill()
        for file in tmp_path.glob("state/cxr.sqlite*"):
            shutil.move(file, tmp_path / file.name)
        for file in tmp_path.glob("state/spool/*.dcm"):
            os.utime(file, (time.time() - 3600,) * 2)
        (tmp_path / "state" / "spool" / "garbage.dcm").write_bytes(b"x")
        os.utime(tmp_path / "state" / "spool" / "garbage.dcm", (0, 0))
        with pytest.raises(RuntimeError, match="belong together"):
            service.start()
        assert service.process.wait(30) == FAILED_STATUS
        assert len(list(tmp_path.glob("state/spool/*.dcm"))) >= 4
        assert spool("bind", service.state)[0] == 0
        service.start()
        status, said = spool("status", service.state)
        assert (status, "set aside" in said) == (1, True)
        (service.state / "spool" / "unknown" / "link.dcm").symlink_to("/etc/hostname")
        status, said = spool("adopt", service.state)
        assert status == 1  # the garbage is refused, and stays
        assert "garbage.dcm" in said
        assert {path.name for path in tmp_path.glob("state/spool/unknown/*")} == {"garbage.dcm", "link.dcm"}
        assert _done(service) == uids
        metrics = httpx.get(f"{service.url}/metrics", timeout=30).text
        assert "cxr_spool_unknown_files 2.0" in metrics


def test_what_a_kill_leaves_half_received_is_counted_by_its_age(tmp_path: Path) -> None:
    data = instance()
    body, headers = multipart([data])
    with ServiceProcess(tmp_path) as service:
        assert httpx.post(f"{service.url}/dicom-web/studies", content=body, headers=headers).status_code == 200
        service.wait_until_over(1)
        half = body[: len(body) - len(data) // 2]
        sent = f"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        held = set(service.state.glob("spool/*.dcm"))
        with socket.create_connection(("127.0.0.1", httpx.URL(service.url).port or 80)) as client:
            client.sendall((sent + lines + "\r\n").encode() + half)
            until = time.monotonic() + 10
            while not (left := set(service.state.glob("spool/*.dcm")) - held) and time.monotonic() < until:
                time.sleep(0.05)
            service.kill()
        assert spool("status", service.state)[0] == 0
        assert "0 for more than ten minutes, 1 for less" in spool("status", service.state)[1]
        os.utime(left.pop(), (time.time() - 3600,) * 2)
        status, said = spool("status", service.state)
        assert (status, "1 for more than ten minutes, 0 for less" in said) == (1, True)
        service.start()
        status, said = spool("status", service.state)
        assert (status, "1 set aside" in said, "does not know" in said) == (1, True, False)
