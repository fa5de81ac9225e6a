"""Strangers: drawn ones, and folders of pictures with their licences."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.data.dataset import DataError
from models.data.strangers.drawn import FAMILIES, draw_strangers
from models.data.strangers.sources import SOURCES, collect
from models.data.strangers.table import pictures_of, read_strangers
from models.data.strangers.volumes import attenuation, projected, read_nifti
from tests.support.screens import noise, write_folder


@pytest.mark.parametrize("held_out", [False, True])
def test_every_family_draws_the_same_pictures_again_and_different_ones(held_out: bool) -> None:
    pictures, kinds, names = draw_strangers(2, 48, noise(), 0, held_out=held_out)
    assert set(names) == {name for name, family in FAMILIES.items() if family.held_out is held_out}
    assert pictures.shape == (len(kinds), 48, 48)
    assert np.array_equal(pictures, draw_strangers(2, 48, noise(), 0, held_out=held_out)[0])
    assert all(not np.array_equal(a, b) for a, b in zip(pictures[::2], pictures[1::2], strict=True))


def test_without_films_no_viewers_are_drawn() -> None:
    names = draw_strangers(1, 48, np.zeros((0, 48, 48), np.uint8), 0, held_out=False)[2]
    assert "text" in names
    assert "viewer" not in names


def test_a_folder_is_read_by_split(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    rows = read_strangers(folder, "test")
    assert {row.source for row in rows} == {"museum"}
    assert pictures_of(folder, rows, 32).shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("museum,test", "shop,test", r"row 5: source 'shop' is in both splits"),
        ("lateral", "frontal", r"row 2: 'frontal' is no stranger's kind"),
        ("CC0-1.0", "", r"row 2: licence empty"),
        ("train", "training", r"row 2: split 'training'"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = write_folder(tmp_path) / "index.csv"
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        read_strangers(tmp_path, "train")


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no index\.csv"):
        read_strangers(tmp_path, "train")


def test_pictures_are_collected_once_and_carry_their_licence(tmp_path: Path) -> None:
    data = tmp_path / "packages" / "skimage" / "data"
    data.mkdir(parents=True)
    for name in ("a", "b"):
        Image.fromarray(noise(1)[0]).save(data / f"{name}.png")
    (data / "broken.png").write_bytes(b"x")
    rows = collect(tmp_path / "packages", tmp_path / "out")
    assert [(row.source, row.split) for row in rows] == [("scikit-image", "test")]
    assert read_strangers(tmp_path / "out", "test") == rows


def test_every_source_states_licence_and_owner_and_medical_test_files_are_never_trained_on() -> None:
    assert all(source.licence and source.attribution for source in SOURCES)
    assert {source.name: source.held_out for source in SOURCES}["dicom-test-files"]


def _nifti(volume: np.ndarray) -> bytes:
    header = bytearray(352)
    header[:4] = (348).to_bytes(4, "little")
    header[40:48] = np.array([3, *volume.shape], "<i2").tobytes()
    header[70:72] = np.array([4], "<i2").tobytes()
    header[76:92] = np.array([1, 2, 2, 2], "<f4").tobytes()
    header[108:112] = np.array([352], "<f4").tobytes()
    header[344:348] = b"n+1\0"
    return bytes(header) + volume.astype("<i2").transpose(2, 1, 0).tobytes()


def test_rays_through_a_volume_from_front_and_side_see_its_width_and_depth(tmp_path: Path) -> None:
    volume = np.full((20, 12, 24), -1000)
    volume[4:16, 4:8, 6:20] = 500
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(_nifti(volume)))
    read, sizes = read_nifti(tmp_path / "ct.nii.gz")
    assert np.array_equal(read, volume)
    rng = np.random.default_rng(0)
    front, side = (projected(attenuation(read, sizes), degrees, 0.25, rng) for degrees in (0, 90))
    assert (front.max(0) > 60).sum() > 2 * (side.max(0) > 60).sum()


def test_another_format_is_no_volume(tmp_path: Path) -> None:
    (tmp_path / "x.nii").write_bytes(b"x" * 400)
    with pytest.raises(DataError, match="no NIfTI-1 volume"):
        read_nifti(tmp_path / "x.nii")
