"""A backup taken while studies arrive, and restored elsewhere, has all that was acknowledged before it began."""

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from app.cli import app
from app.store.backup import MANIFEST
from tests.support.postgres import postgresql
from tests.support.process import ServiceProcess
from tests.support.studies import instance, multipart, parsed

RUN = CliRunner()


def cxr(*arguments: str, **environment: str) -> tuple[int, str]:
    done = RUN.invoke(app, list(arguments), env=environment)
    return done.exit_code, " ".join(done.output.split())


class _Sender:
    """Sends studies until it is stopped, and remembers which were acknowledged."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self.acknowledged: list[str] = []

    def _send(self) -> None:
        while not self._stopping.is_set():
            data = instance()
            body, headers = multipart([data])
            answer = httpx.post(f"{self._url}/dicom-web/studies", content=body, headers=headers, timeout=30)
            if answer.status_code == 200:
                self.acknowledged.append(str(parsed(data).StudyInstanceUID))

    @contextmanager
    def sending(self, first: int) -> Iterator[None]:
        self._thread.start()
        while len(self.acknowledged) < first:
            self._stopping.wait(0.05)
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join()


@contextmanager
def _databases(kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    """URLs of two databases of one kind, of which the second is empty."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'one.sqlite'}", f"sqlite:///{folder / 'two.sqlite'}"
        return
    with postgresql() as url:
        one, two = (
            sa.make_url(url).set(database=name).render_as_string(hide_password=False) for name in ("one", "two")
        )
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for name in ("one", "two"):
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        yield one, two


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_acknowledged_before_a_backup_is_there_after_a_restore(tmp_path: Path, kind: str) -> None:
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    with _databases(kind, tmp_path) as (first, second):
        with ServiceProcess(tmp_path / "first", CXR_DATABASE_URL=first) as service:
            sender = _Sender(service.url)
            with sender.sending(first=8):
                before = list(sender.acknowledged)
                status, said = cxr("backup", str(backup), "--state-dir", str(service.state), CXR_DATABASE_URL=first)
                assert status == 0, said
                assert len(sender.acknowledged) > len(before)  # the load went on
            service.kill()
        status, said = cxr("restore", str(backup), "--state-dir", str(restored), CXR_DATABASE_URL=second)
        assert status == 0, said
        options = {"CXR_DATABASE_URL": second, "CXR_STATE_DIR": str(restored)}
        with ServiceProcess(tmp_path / "second", **options) as service:
            service.wait_until_over(len(before))
            done = {job["study_instance_uid"] for job in service.jobs(state="done")["data"]}
            assert set(before) <= done
            for uid in before:
                held = httpx.get(f"{service.url}/dicom-web/studies/{uid}", timeout=30)
                assert held.status_code == 200


@pytest.fixture
def made(tmp_path: Path) -> Path:
    with ServiceProcess(tmp_path / "first") as service:
        body, headers = multipart([instance()])
        assert httpx.post(f"{service.url}/dicom-web/studies", content=body, headers=headers).status_code == 200
        assert cxr("backup", str(tmp_path / "backup"), "--state-dir", str(service.state))[0] == 0
    return tmp_path / "backup"


def test_a_backup_is_for_its_owner_alone_and_overwrites_nothing(made: Path, tmp_path: Path) -> None:
    assert made.stat().st_mode & 0o077 == 0
    status, said = cxr("backup", str(made), "--state-dir", str(tmp_path / "first" / "state"))
    assert (status, "is there already" in said) == (1, True)


@pytest.mark.parametrize("damage", ["bit", "cut", "missing", "manifest"])
def test_a_damaged_backup_is_refused_and_nothing_restored(made: Path, tmp_path: Path, damage: str) -> None:
    (file,) = (made / "spool").glob("*.dcm")
    if damage == "missing":
        file.unlink()
    elif damage == "manifest":
        (made / MANIFEST).write_text('{"files": {"../outside": ""}}')
    else:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data if damage == "bit" else data[:-10])
    status, said = cxr("restore", str(made), "--state-dir", str(tmp_path / "restored"))
    assert status == 1
    assert "damaged" in said or "cannot be read" in said
    assert not (tmp_path / "restored").exists()


def test_what_a_killed_backup_has_left_is_cleared_by_the_next_one(made: Path, tmp_path: Path) -> None:
    left = tmp_path / ".second.partial"
    (left / "spool").mkdir(parents=True)
    (left / "spool" / "x.dcm").write_bytes(b"x")
    assert cxr("backup", str(tmp_path / "second"), "--state-dir", str(tmp_path / "first" / "state"))[0] == 0
    assert not left.exists()
    assert not (tmp_path / "second" / "spool" / "x.dcm").exists()


def test_a_backup_to_the_same_folder_at_the_same_time_is_refused(made: Path, tmp_path: Path) -> None:
    left = tmp_path / ".second.partial"
    left.mkdir()
    descriptor = os.open(left, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    status, said = cxr("backup", str(tmp_path / "second"), "--state-dir", str(tmp_path / "first" / "state"))
    os.close(descriptor)
    assert (status, "at the moment" in said) == (1, True)


def test_a_restore_names_what_the_database_holds_and_the_backup_lacks(made: Path, tmp_path: Path) -> None:
    manifest = json.loads((made / MANIFEST).read_bytes())
    (held,) = (name for name in manifest["files"] if name.endswith(".dcm"))
    del manifest["files"][held]
    (made / MANIFEST).write_text(json.dumps(manifest))
    status, said = cxr("restore", str(made), "--state-dir", str(tmp_path / "restored"))
    assert status == 1
    assert f"{held} is missing: it has to be sent again" in said


def test_a_restore_overwrites_no_state(made: Path, tmp_path: Path) -> None:
    status, said = cxr("restore", str(made), "--state-dir", str(tmp_path / "first" / "state"))
    assert (status, "is not empty" in said) == (1, True)


@pytest.mark.parametrize("left", ["", "-wal", "-shm", "-journal"])
def test_a_restore_takes_nothing_that_another_database_has_left(made: Path, tmp_path: Path, left: str) -> None:
    (tmp_path / f"x.sqlite{left}").write_bytes(b"x")
    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    status, said = cxr("restore", str(made), "--state-dir", str(tmp_path / "restored"), CXR_DATABASE_URL=url)
    assert (status, "is there already" in said) == (1, True)
    assert not (tmp_path / "restored").exists()  # so that it can be repeated


def test_a_start_on_what_a_killed_restore_has_left_is_refused(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.store.backup.restore_database", killed)
    cxr("restore", str(made), "--state-dir", str(tmp_path / "restored"))
    assert list((tmp_path / "restored" / "spool").glob("*.dcm"))
    with pytest.raises(RuntimeError, match="belong together"):
        ServiceProcess(tmp_path / "second", CXR_STATE_DIR=str(tmp_path / "restored")).__enter__()


def test_a_backup_into_the_state_folder_is_refused(made: Path, tmp_path: Path) -> None:
    state = tmp_path / "first" / "state"
    status, said = cxr("backup", str(state / "audit" / "b"), "--state-dir", str(state))
    assert (status, "lies in the state folder" in said) == (1, True)


def test_a_held_file_that_is_gone_is_told_and_the_rest_backed_up(made: Path, tmp_path: Path) -> None:
    state = tmp_path / "first" / "state"
    for file in (state / "spool").glob("*.dcm"):
        os.truncate(file, file.stat().st_size - 10)
    status, said = cxr("backup", str(tmp_path / "second"), "--state-dir", str(state))
    assert status == 1
    assert "is damaged: it has to be sent again" in said
    assert (tmp_path / "second" / MANIFEST).is_file()
