"""Documents that could not be kept leave nothing, so that keeping them again does not fill the disk."""

import errno
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.store.database import Database
from app.store.results import Results
from app.store.spool import Spool
from tests.support.studies import instance, parsed


def _no_record(connection: sa.Connection, uids: list[str]) -> None:
    pass


class _Spool(Spool):
    """A spool with room for `left` more files."""

    left = 99

    def write(self, data: bytes) -> Path:
        if not self.left:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.left -= 1
        return super().write(data)


async def test_files_that_were_written_before_the_disk_was_full_are_removed(tmp_path: Path, database: Database) -> None:
    spool = _Spool(tmp_path / "spool", 0)
    results = Results(database, spool)
    documents = [parsed(instance()) for _ in range(2)]
    spool.left = 1
    with pytest.raises(OSError, match="No space left"):
        await results.keep("job", documents, _no_record)
    assert spool.names() == set()
    spool.left = 2
    uids = await results.keep("job", documents, _no_record)
    assert {path.name for path in await results.files(uids)} == spool.names()


async def test_files_whose_rows_could_not_be_written_are_removed_and_those_that_have_rows_stay(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool", 0)
    results = Results(database, spool)
    kept = await results.keep("job", [parsed(instance())], _no_record)
    error = sa.exc.OperationalError("INSERT", {}, Exception("database or disk is full"))

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(database, "insert_new", refuse)
    with pytest.raises(sa.exc.OperationalError):
        await results.keep("job", [parsed(instance())], _no_record)
    assert {path.name for path in await results.files(kept)} == spool.names()
