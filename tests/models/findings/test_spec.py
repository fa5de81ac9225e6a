"""Findings in `bundle.json`: what is taken, what is refused, and what makes a radiograph abnormal."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.bundle import BundleError, load, read_manifest, write_manifest
from models.findings.spec import MOST_FINDINGS, abnormality
from tests.support.findings import FINDINGS, NORMAL, PNEUMONIA
from tests.support.service import ROOT

DEMO = ROOT / "models" / "bundles" / "demo"
DECLARED = [finding.model_dump(mode="json") for finding in FINDINGS]


def declare(folder: Path, findings: list[dict[str, Any]], abnormal: str | None = None) -> Path:
    """The embedded bundle's manifest with findings."""
    content = json.loads((DEMO / "bundle.json").read_text())
    content |= {"findings": findings, "abnormal": abnormal}
    (folder / "bundle.json").write_text(json.dumps(content))
    return folder


def changed(**fields: object) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [{**DECLARED[0], **fields}]


def coded(**fields: object) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [{**DECLARED[0], "code": {**DECLARED[0]["code"], **fields}}]


@pytest.mark.parametrize("abnormal", [None, "normal", "any"])
def test_declared_findings_are_read_and_written_again(tmp_path: Path, abnormal: str | None) -> None:
    manifest = read_manifest(declare(tmp_path, DECLARED, abnormal))
    assert (manifest.findings, manifest.abnormal) == (FINDINGS, abnormal)
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest


def test_a_finding_may_have_a_code_of_radlex(tmp_path: Path) -> None:
    found = read_manifest(declare(tmp_path, coded(scheme="RADLEX", value="RID5350")())).findings[0].code
    assert (found.scheme, found.value) == ("RADLEX", "RID5350")


def test_a_bundle_without_findings_is_written_as_before(tmp_path: Path) -> None:
    write_manifest(tmp_path, read_manifest(declare(tmp_path, [])))
    assert not {"findings", "abnormal"} & set(json.loads((tmp_path / "bundle.json").read_text()))


@pytest.mark.parametrize(
    "findings",
    [
        changed(name="Pneumonia"),
        changed(name=""),
        changed(name="x" * 65),
        changed(name="any"),
        changed(question=""),
        changed(question=" Is there pneumonia?"),
        changed(question="Is there\npneumonia?"),
        changed(question="x" * 301),
        changed(yes=""),
        changed(no=DECLARED[0]["yes"]),
        changed(abnormal_when="perhaps"),
        changed(surprise=1),
        coded(scheme="ICD10"),
        coded(value="RID5350"),
        coded(value="1"),
        coded(scheme="RADLEX", value="233604007"),
        coded(meaning="x" * 65),
        lambda: [DECLARED[0], DECLARED[0]],
        lambda: [DECLARED[0], {**DECLARED[1], "question": DECLARED[0]["question"].upper()}],
        lambda: [{**DECLARED[0], "name": f"n{i}", "question": f"Is {i}?"} for i in range(MOST_FINDINGS + 1)],
    ],
)
def test_a_malformed_finding_is_refused_and_named(tmp_path: Path, findings: Callable[[], list[dict[str, Any]]]) -> None:
    with pytest.raises(BundleError, match=r"bundle\.json: "):
        read_manifest(declare(tmp_path, findings()))


@pytest.mark.parametrize(("findings", "abnormal"), [(DECLARED, "effusion"), ([], "any"), ([], "normal")])
def test_abnormal_by_what_is_not_declared_is_refused(
    tmp_path: Path, findings: list[dict[str, Any]], abnormal: str
) -> None:
    with pytest.raises(BundleError, match="abnormal: "):
        read_manifest(declare(tmp_path, findings, abnormal))


def test_a_bundle_with_findings_verifies(tmp_path: Path) -> None:
    folder = declare(Path(shutil.copytree(DEMO, tmp_path / "bundle")), DECLARED, "normal")
    assert load(folder).manifest.findings == FINDINGS


@pytest.mark.parametrize(("abnormal", "expected"), [(None, None), ("pneumonia", 0.3), ("normal", 0.6), ("any", 0.6)])
def test_a_radiograph_is_abnormal_by_one_finding_or_by_the_likeliest(
    abnormal: str | None, expected: float | None
) -> None:
    found = abnormality(FINDINGS, abnormal, {PNEUMONIA.name: 0.3, NORMAL.name: 0.4})
    assert found == (None if expected is None else pytest.approx(expected))
