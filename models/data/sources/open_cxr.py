"""The open radiographs: `index.csv` with one label column, images in `images/`."""

import csv
from pathlib import Path

from models.conditions import COVID, NORMAL
from models.data.dataset import DataError, Record, validation_part

_COLUMNS = ("file", "label", "view", "age_group", "group", "split", "licence", "attribution")
_UNLABELLED = "COVID-19 patient cohort; finding not labelled per image"


def _labels(label: str) -> tuple[str, ...]:
    if label == _UNLABELLED:
        return ()
    if label == "No Finding":
        return (NORMAL,)
    return tuple(name if name == COVID else name.replace("_", " ").lower() for name in label.split("|"))


def read_open_cxr(folder: Path) -> list[Record]:
    """Records of `folder/index.csv`; a fixed twentieth of the training groups becomes the validation split.

    Raises DataError naming the row where a value is missing.
    """
    records = []
    with (folder / "index.csv").open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or [])]
        if missing:
            raise DataError(f"index.csv: columns {missing} are missing")
        for number, row in enumerate(reader, start=2):
            empty = [name for name in _COLUMNS if not row[name]]
            if empty:
                raise DataError(f"index.csv row {number}: {empty} empty")
            train = row["split"] == "train"
            records.append(
                Record(
                    image=f"images/{row['file']}",
                    split="validation" if train and validation_part(row["group"]) else row["split"],
                    group=row["group"],
                    view=row["view"],
                    age_group=row["age_group"],
                    sex=(row.get("sex") or "").upper(),
                    labels=_labels(row["label"]),
                    licence=row["licence"],
                    attribution=row["attribution"],
                )
            )
    return records
