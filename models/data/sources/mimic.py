"""MIMIC-CXR-JPG 2.0.0 (Johnson et al. 2019) and the reports of MIMIC-CXR, with the official split."""

import csv
import gzip
import re
from pathlib import Path

from models.conditions import NORMAL
from models.data.dataset import DataError, Record

_SPLITS = {"train": "train", "validate": "validation", "test": "test"}
_VIEWS = {"AP": "AP", "PA": "PA", "LATERAL": "lateral", "LL": "lateral"}
# CheXpert's columns by our names; `No Finding` is normal.
_FINDINGS = {
    "No Finding": NORMAL,
    "Pleural Effusion": "pleural effusion",
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Enlarged Cardiomediastinum": "enlarged cardiomediastinum",
    "Fracture": "fracture",
    "Lung Lesion": "lung lesion",
    "Lung Opacity": "lung opacity",
    "Pleural Other": "pleural other",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
    "Support Devices": "support devices",
}
_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z /()&-]{2,60}):", re.MULTILINE)
LICENCE = "PhysioNet Credentialed Health Data License 1.5.0"
ATTRIBUTION = "MIMIC-CXR-JPG 2.0.0, Johnson et al., PhysioNet"


def sections(text: str) -> dict[str, str]:
    """Sections of a report by their headings, white space folded."""
    headings = list(_HEADING.finditer(text))
    found = {}
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        body = text[heading.end() : following.start() if following else None]
        found[heading[1].strip()] = " ".join(body.split())
    return found


def _table(folder: Path, name: str) -> list[dict[str, str]]:
    for file, opener in ((folder / f"{name}.csv.gz", gzip.open), (folder / f"{name}.csv", open)):
        if file.exists():
            with opener(file, "rt", newline="", encoding="utf-8") as stream:
                return list(csv.DictReader(stream))
    raise DataError(f"{name}.csv.gz is not in {folder.name}")


def _labels(row: dict[str, str]) -> tuple[str, ...]:
    present = tuple(name for column, name in _FINDINGS.items() if row.get(column, "") in ("1", "1.0"))
    return tuple(name for name in present if name != NORMAL) or present


def read_mimic(folder: Path, reports: Path) -> list[Record]:
    """Records of a MIMIC-CXR-JPG folder, one an image, reports from `reports/pNN/pSUBJECT/sSTUDY.txt`.

    `study_number` counts a patient's studies by date and time, so that a phase can keep the first. Views other than
    AP, PA and lateral are left empty. Raises DataError where a table or a report is missing, or a study is in no split.
    """
    split = {row["dicom_id"]: row["split"] for row in _table(folder, "mimic-cxr-2.0.0-split")}
    labels = {row["study_id"]: _labels(row) for row in _table(folder, "mimic-cxr-2.0.0-chexpert")}
    metadata = _table(folder, "mimic-cxr-2.0.0-metadata")
    order: dict[str, list[tuple[str, float, str]]] = {}
    for row in metadata:
        moment = (row["StudyDate"], float(row["StudyTime"] or 0), row["study_id"])
        order.setdefault(row["subject_id"], []).append(moment)
    numbers = {
        study: number
        for moments in order.values()
        for number, study in enumerate(dict.fromkeys(study for *_, study in sorted(moments)), start=1)
    }
    records = []
    for number, row in enumerate(metadata, start=2):
        subject, study, dicom = row["subject_id"], row["study_id"], row["dicom_id"]
        if split.get(dicom) not in _SPLITS:
            raise DataError(f"metadata row {number}: image {dicom} is in no split")
        place = Path(f"p{subject[:2]}") / f"p{subject}"
        report = reports / place / f"s{study}.txt"
        if not report.is_file():
            raise DataError(f"metadata row {number}: report {report.relative_to(reports)} is missing")
        parts = sections(report.read_text(encoding="utf-8", errors="replace"))
        texts = parts.get("FINDINGS", ""), parts.get("IMPRESSION", "")
        view = _VIEWS.get(row["ViewPosition"], "")
        if not (any(texts) or labels.get(study) or view):
            continue
        records.append(
            Record(
                image=str(Path("files") / place / f"s{study}" / f"{dicom}.jpg"),
                split=_SPLITS[split[dicom]],
                group=subject,
                study_number=numbers[study],
                view=view,
                age_group="adult",
                findings=texts[0],
                impression=texts[1],
                labels=labels.get(study, ()),
                licence=LICENCE,
                attribution=ATTRIBUTION,
            )
        )
    return records
