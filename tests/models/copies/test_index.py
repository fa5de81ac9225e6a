"""The index of training films: what it finds, what it holds, and what of it is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file

from models.copies.building import CopiesError, build, exceeded_by
from models.copies.features import MIDDLE, Window, scan
from models.copies.index import CONFIG_FILE, INDEX_FILE, CopyIndex
from tests.support.copies import WEIGHTS, films, index_of

KNOWN = films(40)


@pytest.fixture(scope="module")
def index() -> CopyIndex:
    return index_of(KNOWN)


def crop(film: np.ndarray, left: float, top: float, kept: float) -> np.ndarray:
    """A part of a film at the film's size."""
    side = len(film)
    box = (left * side, top * side, (left + kept) * side, (top + kept) * side)
    return np.asarray(Image.fromarray(film).resize((side, side), Image.Resampling.BICUBIC, box))


def test_each_film_is_nearest_to_itself(index: CopyIndex) -> None:
    found = [index.nearest(film) for film in KNOWN]
    assert [one.row for one in found] == list(range(40))
    assert min(one.similarity for one in found) > 0.95


@pytest.mark.parametrize(
    "changed",
    [
        lambda film: (film * 0.8 + 10).astype(np.uint8),
        lambda film: film[:, ::-1],
        lambda film: crop(film, 0.0, 0.0, 0.86),
        lambda film: crop(film, 0.10, 0.02, 0.88),
        lambda film: crop(film, 0.03, 0.04, 0.93)[:, ::-1],
        lambda film: np.roll(film, (4, -4), (0, 1)),
    ],
    ids=["grey", "mirrored", "corner", "crop", "mirrored crop", "shifted"],
)
def test_a_film_is_found_though_it_was_changed(index: CopyIndex, changed) -> None:  # type: ignore[no-untyped-def]
    found = [index.nearest(np.ascontiguousarray(changed(film))) for film in KNOWN[:8]]
    assert [one.row for one in found] == list(range(8))
    assert min(one.similarity for one in found) > index.config.limit


def test_a_film_that_is_shifted_by_a_quarter_is_not_found(index: CopyIndex) -> None:
    assert index.similarities(np.roll(KNOWN[:8], (16, 16), (1, 2))).max() < index.config.limit


def test_other_films_are_below_the_limit(index: CopyIndex) -> None:
    assert index.similarities(films(40, 5)).max() < index.config.limit
    assert index.config.held_out["0.5"] < index.config.held_out["0.95"] < index.config.limit


def test_a_picture_of_one_grey_value_resembles_nothing(index: CopyIndex) -> None:
    assert index.nearest(np.full((64, 64), 90, np.uint8)).similarity < index.config.limit


def test_every_crop_of_the_training_holds_a_window_near_the_films_middle() -> None:
    for scale in (0.86, 0.93, 1.0):
        away = (1 - scale) / (2 * scale)
        places = {(one.right, one.down) for one in scan() if one.scale == scale}
        for right in (-away, 0.0, away):
            assert min(max(abs(right - x), abs(y)) for x, y in places) <= 8 / 256
    left, top, right, bottom = Window(0.86, 0.5, -0.5).box(100)
    assert (right, top) == (100.0, 0.0)
    assert right - left == bottom - top == pytest.approx(100 * MIDDLE / 0.86)


def test_a_saved_index_finds_the_same(index: CopyIndex, tmp_path: Path) -> None:
    index.save(tmp_path)
    loaded = CopyIndex.load(tmp_path)
    assert loaded.config == index.config
    others = films(5, 3)
    assert np.array_equal(index.similarities(others), loaded.similarities(others))
    assert sorted(file.name for file in tmp_path.iterdir()) == [CONFIG_FILE, INDEX_FILE]


def test_an_index_of_5000_films_is_under_a_megabyte(tmp_path: Path) -> None:
    build(films(5000, side=32), films(50, 1, 32), WEIGHTS).save(tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 1_000_000


def test_too_few_films_make_no_index() -> None:
    with pytest.raises(CopiesError, match="two films"):
        index_of(films(1))
    with pytest.raises(CopiesError, match="49 held-out films are too few"):
        build(films(9), films(49), WEIGHTS)


@pytest.mark.parametrize("rate", [0.01, 0.001])
def test_the_limit_is_exceeded_at_the_rate_that_was_asked_for(rate: float) -> None:
    drawn = np.random.default_rng(0).normal(0.5, 0.05, 400_000)
    assert np.mean(drawn > exceeded_by(drawn[:4000], rate)) == pytest.approx(rate, rel=0.3)


def test_a_few_films_that_are_in_the_index_under_another_name_do_not_move_the_limit() -> None:
    drawn = np.random.default_rng(0).normal(0.5, 0.05, 200)
    doubled = np.sort(drawn)
    doubled[-4:] = 0.99
    assert exceeded_by(doubled, 0.001) == exceeded_by(drawn, 0.001)


def test_the_limit_is_no_similarity_above_one() -> None:
    assert exceeded_by(np.linspace(0.9, 1.0, 100), 0.001) == 1.0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rows", lambda array: array[:-1]),
        ("mean", lambda array: array.astype(np.float32)),
        ("components", lambda array: np.full_like(array, np.nan)),
        ("mean", lambda array: np.full_like(array, np.inf)),
    ],
)
def test_tensors_that_make_no_sense_are_refused(index: CopyIndex, tmp_path: Path, name: str, change) -> None:  # type: ignore[no-untyped-def]
    index.save(tmp_path)
    tensors = load_file(tmp_path / INDEX_FILE)
    save_file(tensors | {name: np.ascontiguousarray(change(tensors[name]))}, tmp_path / INDEX_FILE)
    with pytest.raises(CopiesError):
        CopyIndex.load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 1.5},
        {"films": 1},
        {"dimensions": 257},
        {"format": 2},
        {"weights_sha256": "x"},
        {"held_out": {"1": 2}},
        {"patients": []},
    ],
)
def test_a_configuration_out_of_bounds_is_refused(index: CopyIndex, change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        type(index.config).model_validate(index.config.model_dump() | change)
