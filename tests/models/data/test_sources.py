"""Data sets as they are published become manifests."""

import csv
import gzip
from pathlib import Path

import pytest

from models.data.dataset import DataError, read_dataset, write_dataset
from models.data.sources.mimic import read_mimic, sections
from models.data.sources.open_cxr import read_open_cxr
from tests.support.service import SHARED

REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  Cough: productive

 FINDINGS:

 The heart is enlarged.
 No effusion.

 IMPRESSION:  Cardiomegaly.
"""
# dicom, subject, study, split, view, date, time
IMAGES = (
    ("d1", "10000001", "50000002", "train", "PA", "21800506", "213014.531"),
    ("d2", "10000001", "50000002", "train", "LATERAL", "21800506", "213014.531"),
    ("d3", "10000001", "50000001", "train", "AP", "21800101", "1.5"),
    ("d4", "10000002", "50000003", "validate", "LL", "21800101", ""),
    ("d5", "11000003", "50000004", "test", "", "21800101", "5"),
)
LABELS = (
    ("10000001", "50000002", {"Cardiomegaly": "1.0", "Edema": "-1.0", "Pleural Effusion": "0.0"}),
    ("10000001", "50000001", {"No Finding": "1.0"}),
    ("10000002", "50000003", {"No Finding": "1.0", "Support Devices": "1.0"}),
)


def table(path: Path, rows: list[dict[str, str]]) -> None:
    with gzip.open(path, "wt", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def mimic(tmp_path: Path) -> tuple[Path, Path]:
    """A MIMIC-CXR-JPG folder and a reports folder of three patients."""
    folder, reports = tmp_path / "jpg", tmp_path / "reports"
    folder.mkdir()
    table(
        folder / "mimic-cxr-2.0.0-split.csv.gz",
        [{"dicom_id": d, "study_id": s, "subject_id": p, "split": split} for d, p, s, split, *_ in IMAGES],
    )
    table(
        folder / "mimic-cxr-2.0.0-metadata.csv.gz",
        [
            {"dicom_id": d, "subject_id": p, "study_id": s, "ViewPosition": view, "StudyDate": date, "StudyTime": time}
            for d, p, s, _, view, date, time in IMAGES
        ],
    )
    names = ["Cardiomegaly", "Edema", "No Finding", "Pleural Effusion", "Support Devices"]
    table(
        folder / "mimic-cxr-2.0.0-chexpert.csv.gz",
        [{"subject_id": p, "study_id": s, **{name: found.get(name, "") for name in names}} for p, s, found in LABELS],
    )
    for _, patient, study, *_ in IMAGES:
        file = reports / f"p{patient[:2]}" / f"p{patient}" / f"s{study}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("FINAL REPORT\n WET READ: none\n" if study == "50000004" else REPORT)
    return folder, reports


def test_mimic_becomes_a_manifest_with_its_split_texts_labels_and_first_studies(
    mimic: tuple[Path, Path], tmp_path: Path
) -> None:
    found = read_mimic(*mimic)
    # d5 has neither text, labels nor view: there is nothing to learn from it.
    assert [Path(r.image).stem for r in found] == ["d1", "d2", "d3", "d4"]
    first = found[0]
    assert first.image == "files/p10/p10000001/s50000002/d1.jpg"
    assert (first.findings, first.impression) == ("The heart is enlarged. No effusion.", "Cardiomegaly.")
    # Uncertain (-1) and absent (0) are not present.
    assert first.labels == ("cardiomegaly",)
    assert [r.study_number for r in found] == [2, 2, 1, 1]
    assert [r.frontal for r in found] == [True, False, True, False]
    assert [r.split for r in found] == ["train", "train", "train", "validation"]
    assert found[3].labels == ("support devices",)
    write_dataset(found, tmp_path / "manifest.parquet")
    assert read_dataset(tmp_path / "manifest.parquet") == found


def test_mimic_without_a_report_a_table_or_a_split_is_refused(mimic: tuple[Path, Path]) -> None:
    folder, reports = mimic
    (reports / "p10" / "p10000001" / "s50000001.txt").unlink()
    with pytest.raises(DataError, match=r"row 4: report p10/p10000001/s50000001\.txt is missing"):
        read_mimic(folder, reports)
    table(folder / "mimic-cxr-2.0.0-split.csv.gz", [{"dicom_id": "d1", "split": "train"}])
    with pytest.raises(DataError, match="row 3: image d2 is in no split"):
        read_mimic(folder, reports)
    (folder / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    with pytest.raises(DataError, match=r"mimic-cxr-2\.0\.0-split\.csv\.gz"):
        read_mimic(folder, reports)


def test_a_colon_in_a_sentence_begins_no_section() -> None:
    assert sections("FINDINGS: Tubes: two.\n note: this\nIMPRESSION: Fine.") == {
        "FINDINGS": "Tubes: two. note: this",
        "IMPRESSION": "Fine.",
    }


INDEX = "file,label,view,age_group,sex,group,split,licence,attribution\n"


def test_the_open_index_becomes_a_manifest(tmp_path: Path) -> None:
    rows = [
        "a.png,No Finding,PA,adult,f,p1,test,CC0,x",
        "b.png,Pleural_Thickening|Mass,PA,adult,,p2,train,CC0,x",
        "c.png,COVID-19,AP,adult,,p3,train,CC0,x",
        "d.png,COVID-19 patient cohort; finding not labelled per image,AP,adult,,p4,train,CC0,x",
    ]
    (tmp_path / "index.csv").write_text(INDEX + "\n".join(rows))
    found = read_open_cxr(tmp_path)
    assert [r.labels for r in found] == [("normal",), ("pleural thickening", "mass"), ("COVID-19",), ()]
    assert (found[0].sex, found[0].image) == ("F", "images/a.png")
    (tmp_path / "index.csv").write_text(INDEX + "a.png,,PA,adult,f,p1,test,CC0,x\n")
    with pytest.raises(DataError, match=r"row 2: \['label'\] empty"):
        read_open_cxr(tmp_path)


def test_the_shared_radiographs_make_a_valid_manifest(tmp_path: Path) -> None:
    folder = SHARED / "cxr"
    if not folder.exists():
        pytest.skip("shared radiographs are not here")
    write_dataset(read_open_cxr(folder), tmp_path / "manifest.csv")
    assert len(read_dataset(tmp_path / "manifest.csv")) > 5000
