"""A folder of strangers: pictures, and `index.csv` that says of each what it is and whose.

| column | meaning |
|---|---|
| file | relative to the folder |
| kind | `lateral`, `other_radiograph` or `not_a_radiograph` |
| source | one of a source's pictures lies in one split only |
| split | `train` or `test` |
| licence, attribution | of the picture |
"""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from models.data.dataset import DataError
from models.preprocessing import fit
from models.screen.config import FRONTAL, KINDS

INDEX_FILE = "index.csv"
_SPLITS = ("train", "test")


@dataclass(frozen=True)
class Stranger:
    """One row of the table."""

    file: str
    kind: str
    source: str
    split: str
    licence: str
    attribution: str


def read_strangers(folder: Path, split: str) -> list[Stranger]:
    """The rows of a split. Raises DataError naming the row where a value is missing or not known, or a source is in
    both splits.
    """
    rows: list[Stranger] = []
    splits: dict[str, str] = {}
    try:
        with (folder / INDEX_FILE).open(newline="", encoding="utf-8") as stream:
            for number, row in enumerate(csv.DictReader(stream), start=2):
                values = {field.name: (row.get(field.name) or "").strip() for field in fields(Stranger)}
                if empty := [name for name, value in values.items() if not value]:
                    raise DataError(f"{INDEX_FILE} row {number}: {', '.join(empty)} empty")
                found = Stranger(**values)
                if found.kind not in KINDS or found.kind == FRONTAL:
                    raise DataError(f"{INDEX_FILE} row {number}: {found.kind!r} is no stranger's kind")
                if found.split not in _SPLITS:
                    raise DataError(f"{INDEX_FILE} row {number}: split {found.split!r} is neither train nor test")
                if splits.setdefault(found.source, found.split) != found.split:
                    raise DataError(f"{INDEX_FILE} row {number}: source {found.source!r} is in both splits")
                rows.append(found)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{folder} has no {INDEX_FILE} that can be read") from error
    return [row for row in rows if row.split == split]


def write_strangers(folder: Path, rows: Sequence[Stranger]) -> None:
    """Write the table."""
    with (folder / INDEX_FILE).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Stranger)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def pictures_of(folder: Path, rows: Sequence[Stranger], side: int) -> np.ndarray:
    """The rows' pictures as the model would get them: uint8 (N, side, side). Raises DataError for an unreadable one."""
    found = np.empty((len(rows), side, side), np.uint8)
    for index, row in enumerate(rows):
        try:
            with Image.open(folder / row.file) as picture:
                found[index] = np.asarray(fit(picture.convert("L"), side))
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"{row.file} is not a readable picture") from error
    return found
