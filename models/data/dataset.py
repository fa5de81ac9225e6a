"""The manifest: one table that says what is known about every radiograph, as CSV or Parquet.

| column | meaning |
|---|---|
| image | file, relative to the manifest's folder (required) |
| split | `train`, `validation` or `test` (required) |
| group | patient; lies in one split only (required) |
| study_number | 1 for the group's first study |
| view | `AP`, `PA`, `frontal` or `lateral` |
| age_group | `paediatric` or `adult` |
| sex | `F` or `M` |
| findings, impression | a radiologist's text |
| severity | `mild`, `moderate` or `severe`, of what is labelled |
| labels | names of `LABELS`, joined by `|`; `normal` where nothing was found; empty where nothing was labelled |
| questions | JSON list of {"question", "answer", "kind"} |
| licence, attribution | of the image |
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from models.conditions import NORMAL
from models.labels import LABELS

SPLITS = ("train", "validation", "test")
SEVERITIES = ("mild", "moderate", "severe", "")
VIEWS = ("AP", "PA", "frontal", "lateral", "")
REQUIRED_COLUMNS = ("image", "split", "group")
VALIDATION_SHARE = 0.05


class DataError(ValueError):
    """Training data that cannot be used; the message names the row."""


@dataclass(frozen=True)
class QuestionAnswer:
    """A question or instruction, and its answer. `kind` sorts questions in the evaluation."""

    question: str
    answer: str
    kind: str


@dataclass(frozen=True)
class Record:
    """One radiograph and what is known about it. Empty means unknown."""

    image: str
    split: str
    group: str
    study_number: int = 1
    view: str = ""
    age_group: str = ""
    sex: str = ""
    findings: str = ""
    impression: str = ""
    labels: tuple[str, ...] = ()
    severity: str = ""
    questions: tuple[QuestionAnswer, ...] = ()
    licence: str = ""
    attribution: str = ""

    @property
    def condition(self) -> str | None:
        """The labels as one name, None where nothing was labelled."""
        return "|".join(self.labels) or None

    @property
    def frontal(self) -> bool:
        """Whether the view is not known to be lateral."""
        return self.view != "lateral"


def validation_part(group: str) -> bool:
    """Whether a training group belongs to the validation part; by hash, which is the same in every run and table."""
    share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") / 2**32
    return share < VALIDATION_SHARE


def _questions(value: str) -> tuple[QuestionAnswer, ...]:
    found = []
    for item in json.loads(value):
        if not item["question"].strip() or not item["answer"].strip():
            raise ValueError("a question or an answer is empty")
        found.append(QuestionAnswer(item["question"], item["answer"], item.get("kind", "other")))
    return tuple(found)


def _record(row: dict[str, str]) -> Record:
    """A row of text as a Record. Raises ValueError saying what is wrong with it."""
    empty = [name for name in REQUIRED_COLUMNS if not row[name].strip()]
    if empty:
        raise ValueError(f"{', '.join(empty)} empty")
    if row["split"] not in SPLITS:
        raise ValueError(f"split {row['split']!r} is none of {', '.join(SPLITS)}")
    view = row.get("view", "")
    if view not in VIEWS:
        raise ValueError(f"view {view!r} is none of {', '.join(filter(None, VIEWS))}")
    if row.get("severity", "") not in SEVERITIES:
        raise ValueError(f"severity {row['severity']!r} is none of {', '.join(filter(None, SEVERITIES))}")
    labels = tuple(name for name in row.get("labels", "").split("|") if name)
    for label in labels:
        if label not in LABELS:
            raise ValueError(f"label {label!r} is not in the list of labels")
    if NORMAL in labels and len(labels) > 1:
        raise ValueError(f"labelled {NORMAL} and {labels} at once")
    try:
        questions = _questions(row.get("questions", "") or "[]")
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError("questions are not a JSON list of question, answer, kind") from error
    texts = {name: row.get(name, "").strip() for name in ("findings", "impression")}
    if not (labels or questions or view or any(texts.values())):
        raise ValueError("empty text: the row states nothing about its image")
    return Record(
        image=row["image"],
        split=row["split"],
        group=row["group"],
        study_number=int(row.get("study_number") or 1),
        view=view,
        age_group=row.get("age_group", ""),
        sex=row.get("sex", "").upper()[:1],
        labels=labels,
        severity=row.get("severity", ""),
        questions=questions,
        licence=row.get("licence", ""),
        attribution=row.get("attribution", ""),
        **texts,
    )


def read_dataset(path: Path) -> list[Record]:
    """Read a manifest, CSV or Parquet by its suffix.

    Raises DataError naming the row where a value is missing or not known, or a group is in two splits.
    """
    try:
        if path.suffix == ".parquet":
            table = parquet.read_table(path)
        else:
            with path.open(encoding="utf-8") as stream:
                names = stream.readline().strip().split(",")
            text = csv.ConvertOptions(column_types={name.strip('"'): pa.string() for name in names})
            table = csv.read_csv(path, convert_options=text, parse_options=csv.ParseOptions(newlines_in_values=True))
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise DataError(f"{path.name}: not a readable table: {error}") from error
    missing = [name for name in REQUIRED_COLUMNS if name not in table.column_names]
    if missing:
        raise DataError(f"{path.name}: columns {missing} are missing")
    records: list[Record] = []
    splits: dict[str, str] = {}
    for number, row in enumerate(table.to_pylist(), start=2):
        try:
            record = _record({key: "" if value is None else str(value) for key, value in row.items()})
        except ValueError as error:
            raise DataError(f"{path.name} row {number}: {error}") from error
        if splits.setdefault(record.group, record.split) != record.split:
            raise DataError(f"{path.name} row {number}: group {record.group!r} is in two splits")
        records.append(record)
    if not records:
        raise DataError(f"{path.name}: no rows")
    return records


def as_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Records as the manifest's columns."""
    rows = []
    for record in records:
        row = asdict(record)
        row["labels"] = "|".join(record.labels)
        row["questions"] = json.dumps(row["questions"]) if record.questions else ""
        rows.append(row)
    return rows


def write_dataset(records: Sequence[Record], path: Path) -> None:
    """Write records as CSV or Parquet, by the suffix."""
    columns = [field.name for field in fields(Record)]
    rows = as_rows(records)
    table = pa.table({name: [row[name] for row in rows] for name in columns})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    if path.suffix == ".parquet":
        parquet.write_table(table, partial)
    else:
        csv.write_csv(table, partial)
    partial.replace(path)


def rows_of(records: Sequence[Record], split: str) -> np.ndarray:
    """Row numbers of the records in `split`: int64 (N,)."""
    return np.array([index for index, record in enumerate(records) if record.split == split], np.int64)
