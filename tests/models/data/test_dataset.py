"""One table describes the radiographs; a row that cannot be used is named."""

import json
from pathlib import Path

import pytest

from models.data.dataset import (
    NORMAL,
    DataError,
    QuestionAnswer,
    read_dataset,
    rows_of,
    validation_part,
    write_dataset,
)
from tests.support.training import RECORDS, record

HEADER = "image,split,group,view,labels,findings,questions,severity\n"


def written(folder: Path, *rows: str) -> Path:
    path = folder / "manifest.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet"])
def test_what_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    complete = record(
        (NORMAL,),
        99,
        findings='Clear,\n"quite" clear.',
        questions=(QuestionAnswer("Tube?", "No.", "devices"),),
        sex="F",
    )
    write_dataset([*RECORDS, complete], tmp_path / name)
    assert read_dataset(tmp_path / name) == [*RECORDS, complete]
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",train,a,AP,normal,,,", "row 2: image empty"),
        ("a.png,training,a,AP,normal,,,", "row 2: split 'training' is none of train, validation, test"),
        ("a.png,train,a,oblique,normal,,,", "row 2: view 'oblique' is none of"),
        ("a.png,train,a,AP,pnuemonia,,,", "row 2: label 'pnuemonia' is not in the list"),
        ("a.png,train,a,AP,normal|mass,,,", "row 2: labelled normal and"),
        ("a.png,train,a,,,  ,,", "row 2: empty text"),
        ("a.png,train,a,AP,normal,,[1],", "row 2: questions are not a JSON list"),
        ('a.png,train,a,AP,normal,,"[{""question"": """", ""answer"": ""b""}]",', "row 2: a question or an answer is"),
        ("a.png,train,a,AP,mass,,,huge", "row 2: severity 'huge' is none of"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(DataError) as raised:
        read_dataset(written(tmp_path, row))
    assert said in str(raised.value)


def test_a_group_in_two_splits_is_named_by_its_second_row(tmp_path: Path) -> None:
    path = written(tmp_path, "a.png,train,p1,AP,normal,,,", "b.png,test,p1,AP,normal,,,")
    with pytest.raises(DataError, match="row 3: group 'p1' is in two splits"):
        read_dataset(path)


def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("file,label\na,b\n")
    with pytest.raises(DataError, match="'image', 'split', 'group'"):
        read_dataset(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text(HEADER)
    with pytest.raises(DataError, match="no rows"):
        read_dataset(tmp_path / "b.csv")
    (tmp_path / "c.parquet").write_bytes(b"PAR")
    with pytest.raises(DataError, match="not a readable table"):
        read_dataset(tmp_path / "c.parquet")


def test_questions_keep_their_kind(tmp_path: Path) -> None:
    asked = json.dumps([{"question": "Tube?", "answer": "No."}]).replace('"', '""')
    (found,) = read_dataset(written(tmp_path, f'a.png,train,a,,,,"{asked}",'))
    assert found.questions == (QuestionAnswer("Tube?", "No.", "other"),)


def test_the_validation_part_is_a_twentieth_of_the_groups_and_never_moves() -> None:
    share = [validation_part(f"patient {number}") for number in range(4000)]
    assert 0.035 < sum(share) / len(share) < 0.065
    assert share == [validation_part(f"patient {number}") for number in range(4000)]


def test_rows_of_a_split() -> None:
    assert rows_of([record((), 0), record((), 1, split="test")], "test").tolist() == [1]
