"""Findings as a bundle may declare them."""

import json
import shutil
from pathlib import Path
from typing import Any

from app.dicom.probabilities import Abnormal, Code, FindingProbability
from app.store.findings import StoredFindings
from models.bundle import file_entries, read_manifest, write_manifest
from models.bundle.manifest import weights_digest
from models.findings.calibration import FINDINGS_FILE, FindingCalibration, FindingsCalibration
from models.findings.operating_points import OperatingPoint, OperatingPoints
from models.findings.spec import FindingCode, FindingSpec
from tests.support.service import ROOT

PNEUMONIA = FindingSpec(
    name="pneumonia",
    code=FindingCode(scheme="SCT", value="233604007", meaning="Pneumonia"),
    question="Is there pneumonia?",
    yes="Yes, there is pneumonia.",
    no="No, there is no pneumonia.",
)
# Its answers share their first words.
NORMAL = FindingSpec(
    name="normal",
    code=FindingCode(scheme="SCT", value="17621005", meaning="Normal"),
    question="Is this a normal chest radiograph?",
    yes="It is normal.",
    no="It is abnormal.",
    abnormal_when="no",
)
FINDINGS = (PNEUMONIA, NORMAL)
# What a job keeps of a study with both, one of them calibrated.
STORED = StoredFindings(
    algorithm="llm-cxr-demo",
    version="0.4",
    findings=[
        FindingProbability("pneumonia", Code("SCT", "233604007", "Pneumonia"), PNEUMONIA.question, 0.93, True),
        FindingProbability("normal", Code("SCT", "17621005", "Normal"), NORMAL.question, 0.0625, False),
    ],
    abnormal=Abnormal(0.93, True),
    priority="urgent",
    bundle_sha256="ab" * 32,
)


def calibration_of(spec: FindingSpec = PNEUMONIA, slope: float = 2.0, intercept: float = -1.0) -> FindingCalibration:
    """A calibration with this sigmoid."""
    point = OperatingPoint(threshold=0.4, sensitivity=0.9, specificity=0.8)
    return FindingCalibration(
        question=spec.question,
        yes=spec.yes,
        no=spec.no,
        slope=slope,
        intercept=intercept,
        positive=30,
        negative=50,
        operating_points=OperatingPoints(youden=point, sensitivity_95=point, specificity_95=point),
        reliability=(),
    )


def with_findings(tmp_path: Path, **changes: Any) -> Path:
    """A copy of the embedded bundle that declares findings, and has a calibration of them with `changes`."""
    folder = Path(shutil.copytree(ROOT / "models" / "bundles" / "demo", tmp_path / "bundle"))
    digest = weights_digest(read_manifest(folder))
    found = FindingsCalibration(weights_sha256=digest, split="validation", findings={"pneumonia": calibration_of()})
    content = {**found.model_dump(mode="json"), **changes}
    (folder / FINDINGS_FILE).write_text(json.dumps(content))
    declared = read_manifest(folder).model_copy(update={"findings": FINDINGS, "files": file_entries(folder)})
    write_manifest(folder, declared)
    return folder


def without_findings(tmp_path: Path) -> Path:
    """A copy of the embedded bundle that declares none."""
    folder = Path(shutil.copytree(ROOT / "models" / "bundles" / "demo", tmp_path / "bundle"))
    write_manifest(folder, read_manifest(folder).model_copy(update={"findings": (), "abnormal": None}))
    return folder
