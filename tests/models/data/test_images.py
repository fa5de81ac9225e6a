"""Radiographs are preprocessed once, packed small, and an unreadable one is named."""

from pathlib import Path

import numpy as np
import pytest

from models.data.dataset import DataError
from models.data.images import grid, load_data, pack, preprocess
from tests.support.training import record, write_data


def test_images_are_preprocessed_once(tmp_path: Path) -> None:
    manifest = write_data(tmp_path / "data", 6)
    records, first = load_data(manifest, 32, tmp_path / "out")
    (tmp_path / "data" / "0.png").unlink()
    assert np.array_equal(preprocess(tmp_path / "data", records, 32, tmp_path / "out"), first)
    with pytest.raises(DataError, match=r"row 2: 0\.png is not a readable image"):
        preprocess(tmp_path / "data", records, 16, tmp_path / "out")


def test_an_unreadable_image_is_named_and_leaves_no_cache(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"row 2: 0\.png is not a readable image"):
        preprocess(tmp_path, [record(())], 32, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pack_holds_the_records_and_nearly_the_images(tmp_path: Path) -> None:
    records, images = load_data(write_data(tmp_path / "data", 6), 32, tmp_path / "out")
    assert pack(records, images, tmp_path / "data.tar", 10**6) == 95
    loaded, found = load_data(tmp_path / "data.tar", 32, tmp_path / "other")
    assert [(r.split, r.group, r.labels) for r in loaded] == [(r.split, r.group, r.labels) for r in records]
    assert np.abs(found.astype(int) - images.astype(int)).mean() < 4
    with pytest.raises(DataError, match="do not fit"):
        pack(records, images, tmp_path / "small.tar", 100)
    assert not list(tmp_path.glob("small*"))


def test_a_contact_sheet_has_every_image() -> None:
    sheet = grid(np.full((5, 8, 8), 200, np.uint8), 3)
    assert sheet.size == (28, 18)
    assert np.count_nonzero(np.asarray(sheet)) == 5 * 64
