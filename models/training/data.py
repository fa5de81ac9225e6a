"""Radiographs for training: the index, the split, and a packed array of preprocessed images."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from rich.progress import track

from models.preprocessing import fit

VALIDATION_SHARE = 0.05
REQUIRED_COLUMNS = ("file", "label", "view", "age_group", "group", "split", "licence", "attribution")


class DataError(ValueError):
    """Training data that cannot be used; the message names the row."""


@dataclass(frozen=True)
class Study:
    """One row of the index: a radiograph and what is known about it."""

    file: str
    label: str
    view: str
    age_group: str
    sex: str
    group: str
    split: str
    licence: str
    attribution: str


def _part(group: str, split: str) -> str:
    """Move a fixed share of the training groups to `validation`, by hash, so that it never moves again."""
    if split != "train":
        return split
    share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") / 2**32
    return "validation" if share < VALIDATION_SHARE else "train"


def read_index(path: Path) -> list[Study]:
    """Read `index.csv`. A group (patient or file) lies in one split only.

    Raises DataError naming the row where a column or a value is missing, or a group is in two splits.
    """
    studies: list[Study] = []
    splits: dict[str, str] = {}
    with path.open(newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in REQUIRED_COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise DataError(f"{path.name}: columns {missing} are missing")
        for number, row in enumerate(reader, start=2):
            empty = [name for name in REQUIRED_COLUMNS if not row[name]]
            if empty:
                raise DataError(f"{path.name} row {number}: {empty} empty")
            if splits.setdefault(row["group"], row["split"]) != row["split"]:
                raise DataError(f"{path.name} row {number}: group {row['group']!r} is in two splits")
            studies.append(
                Study(
                    file=row["file"],
                    label=row["label"],
                    view=row["view"],
                    age_group=row["age_group"],
                    sex=(row.get("sex") or "").upper(),
                    group=row["group"],
                    split=_part(row["group"], row["split"]),
                    licence=row["licence"],
                    attribution=row["attribution"],
                )
            )
    if not studies:
        raise DataError(f"{path.name}: no rows")
    return studies


def pack_images(folder: Path, studies: list[Study], size: int, cache: Path) -> np.ndarray:
    """Preprocess every radiograph once and keep the result in `cache`: uint8 (N, size, size), grey.

    Raises DataError naming the file that is not a readable image.
    """
    if cache.exists():
        packed: np.ndarray = np.load(cache, mmap_mode="r")
        if packed.shape == (len(studies), size, size):
            return packed
    images = np.empty((len(studies), size, size), np.uint8)
    for index, study in enumerate(track(studies, description="Packing images")):
        try:
            with Image.open(folder / "images" / study.file) as image:
                images[index] = np.asarray(fit(image.convert("L"), size))
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"{study.file}: not a readable image") from error
    cache.parent.mkdir(parents=True, exist_ok=True)
    partial = cache.with_suffix(".partial.npy")
    np.save(partial, images)
    partial.replace(cache)
    return np.load(cache, mmap_mode="r")


def rows_of(studies: list[Study], split: str) -> np.ndarray:
    """Row numbers of the studies in `split`: int64 (N,)."""
    return np.array([index for index, study in enumerate(studies) if study.split == split], np.int64)
