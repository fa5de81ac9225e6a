"""A database and a state folder belong together; what the database does not know is set aside, never deleted."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.errors import CxrError
from app.store.database import Database
from app.store.spool import Spool
from app.store.state_folder import UnknownSweep, bind, claim, set_unknown_aside, unnamed
from app.store.tables import instances, state_folder

ROW = {
    "sop_class_uid": "1.2",
    "study_uid": "1.2.3",
    "series_uid": "1.2.3.4",
    "transfer_syntax_uid": "1.2.840.10008.1.2.1",
    "modality": "DX",
    "attributes": {},
    "sha256": "",
    "bytes": 1,
    "origin": "input",
    "sender": "",
    "received": 0.0,
}


def _hold(database: Database, *files: str) -> None:
    with database.transaction() as connection:
        rows = [{**ROW, "sop_instance_uid": f"1.2.3.4.{number}", "file": file} for number, file in enumerate(files)]
        connection.execute(sa.insert(instances), rows)


def _put(spool: Spool, name: str, age: float = 3600.0) -> None:
    path = spool.path(name)
    path.write_bytes(b"x")
    os.utime(path, (time.time() - age,) * 2)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", 0)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'other.sqlite'}")
    yield made
    made.close()


def test_the_first_start_binds_them_and_later_ones_find_them_bound(database: Database, spool: Spool) -> None:
    _put(spool, "held.dcm")  # the release before had no ids
    _hold(database, "held.dcm")
    claim(database, spool)
    identity = spool.identity
    assert identity is not None
    claim(database, spool)
    assert spool.identity == identity
    with database.reading() as connection:
        assert connection.execute(sa.select(state_folder.c.id)).scalars().all() == [identity]


def test_replicas_that_start_together_end_with_one_id(database: Database, spool: Spool) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: claim(database, spool), range(8)))
    with database.reading() as connection:
        assert connection.execute(sa.select(state_folder.c.id)).scalars().all() == [spool.identity]


def test_a_new_database_is_refused_for_a_folder_that_holds_files(
    database: Database, other: Database, spool: Spool
) -> None:
    claim(database, spool)
    _put(spool, "held.dcm")
    with pytest.raises(CxrError, match="holds 1 files of another database") as caught:
        claim(other, spool)
    assert caught.value.code == "other_state_folder"
    assert spool.names() == {"held.dcm"}


def test_a_new_database_is_refused_for_files_that_came_without_their_folders_id(
    database: Database, spool: Spool
) -> None:
    _put(spool, "copied.dcm")
    with pytest.raises(CxrError, match="holds 1 files of another database"):
        claim(database, spool)


def test_what_was_replaced_as_damaged_is_no_file_to_take_in(spool: Spool) -> None:
    _put(spool, "damaged.dcm")
    spool.set_aside(["damaged.dcm"], damaged=True)
    assert (spool.names(), spool.unknown_names()) == (set(), set())
    assert [path.name for path in spool.folder.glob("damaged/*")] == ["damaged.dcm"]


def test_a_folder_without_its_volume_is_refused_for_a_database_that_holds_instances(
    database: Database, spool: Spool, tmp_path: Path
) -> None:
    claim(database, spool)
    _hold(database, "held.dcm")
    with pytest.raises(CxrError, match="is its volume mounted"):
        claim(database, Spool(tmp_path / "unmounted", 0))


def test_two_that_belong_elsewhere_are_refused_until_an_operator_binds_them(
    database: Database, other: Database, spool: Spool, tmp_path: Path
) -> None:
    elsewhere = Spool(tmp_path / "elsewhere", 0)
    claim(database, spool)
    claim(other, elsewhere)
    with pytest.raises(CxrError, match=r"check CXR_DATABASE_URL and CXR_STATE_DIR.*cxr spool bind"):
        claim(database, elsewhere)
    assert bind(database, elsewhere) == elsewhere.identity
    claim(database, elsewhere)


@pytest.mark.parametrize("empty", ["folder", "database"])
def test_where_nothing_is_held_nothing_can_be_mistaken(
    database: Database, other: Database, spool: Spool, tmp_path: Path, empty: str
) -> None:
    """Also what a kill between the two halves of the first start leaves."""
    claim(database, spool)
    if empty == "folder":
        claim(database, Spool(tmp_path / "fresh", 0))
    else:
        claim(other, spool)


def test_files_that_no_row_names_are_set_aside_and_none_is_deleted(database: Database, spool: Spool) -> None:
    for name, age in (("held.dcm", 3600.0), ("remains.dcm", 3600.0), ("half.whole", 3600.0), ("young.dcm", 1.0)):
        _put(spool, name, age)
    _hold(database, "held.dcm")
    assert set_unknown_aside(database, spool) == 2
    assert spool.names() == {"held.dcm", "young.dcm"}  # another process may be writing the young one
    assert spool.unknown_names() == {"remains.dcm", "half.whole"}
    assert set_unknown_aside(database, spool) == 0
    assert spool.unknown_names() == {"remains.dcm", "half.whole"}


def test_the_sweep_of_a_running_service_takes_old_files_that_no_row_names_in_two_sweeps(
    database: Database, spool: Spool
) -> None:
    for name, age in (("held.dcm", 3600.0), ("remains.dcm", 601.0), ("young.dcm", 590.0)):
        _put(spool, name, age)
    _hold(database, "held.dcm")
    sweep, other = UnknownSweep(database, spool), UnknownSweep(database, spool)
    assert (sweep.run(), other.run()) == (0, 0)
    # One that was removed with its row meanwhile is nothing to set aside, and several replicas share the folder.
    assert (sweep.run(), other.run()) == (1, 0)
    assert spool.names() == {"held.dcm", "young.dcm"}
    assert spool.unknown_names() == {"remains.dcm"}


def test_a_file_that_was_recorded_after_it_was_set_aside_is_put_back(database: Database, spool: Spool) -> None:
    _put(spool, "slow.dcm")
    assert set_unknown_aside(database, spool) == 1
    _hold(database, "slow.dcm")
    assert UnknownSweep(database, spool).run() == 0
    assert (spool.names(), spool.unknown_names()) == ({"slow.dcm"}, set())


def test_files_that_no_row_names_are_told_by_age(spool: Spool) -> None:
    for name, age in (("held.dcm", 3600.0), ("remains.dcm", 3600.0), ("young.dcm", 1.0)):
        _put(spool, name, age)
    assert unnamed(spool, lambda: {"held.dcm"}) == ({"remains.dcm"}, {"young.dcm"})
