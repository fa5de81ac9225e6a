"""The digest is that of the data set."""

from pathlib import Path

from app.dicom.digest import content_digest
from tests.support.studies import instance, parsed


def test_the_digest_is_that_of_the_data_set_whoever_wrote_the_meta_information(tmp_path: Path) -> None:
    dataset = parsed(instance())
    paths = []
    for name in ("ONE", "ANOTHER-AND-LONGER"):
        dataset.file_meta.ImplementationVersionName = name[:16]
        path = tmp_path / f"{name}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    assert content_digest(paths[0]) == content_digest(paths[1])
    assert paths[0].read_bytes() != paths[1].read_bytes()
    assert content_digest(paths[0].read_bytes()) == content_digest(paths[0])
