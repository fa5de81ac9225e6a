"""A folder for each replica of a machine."""

from pathlib import Path

from app.scale.slots import Slot


def test_replicas_side_by_side_have_folders_of_their_own_and_the_next_one_finds_the_first_again(tmp_path: Path) -> None:
    first, second = Slot(tmp_path / "replicas", "engine"), Slot(tmp_path / "replicas", "engine")
    assert (first.folder.name, second.folder.name) == ("engine-0", "engine-1")
    first.close()
    third = Slot(tmp_path / "replicas", "engine")
    assert third.folder == first.folder
    second.close()
    third.close()
