"""The documents: conformant by the validators of others, the same every time, over real and odd headers."""

import datetime
import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import ImageDraw
from pydicom.dataset import Dataset

from app.dicom.basic_text import basic_text_report
from app.dicom.document import Draft
from app.dicom.fhir import diagnostic_report
from app.dicom.measurement_report import measurement_report
from app.dicom.part10 import to_bytes
from app.dicom.report_capture import report_capture
from app.dicom.sample import sample_dicom
from app.dicom.secondary_capture import Provenance, synthetic_capture
from tests.support.peers import dciodvfy_errors
from tests.support.service import SHARED

WRITERS = [basic_text_report, measurement_report, report_capture]
Writer = Callable[[Draft], Dataset]
TEXT = "FINDINGS: Herzgröße normal, 肺野 clear.\nIMPRESSION: Normal chest radiograph."


def source(**values: object) -> Dataset:
    """The sample's header, with other values."""
    dataset = pydicom.dcmread(io.BytesIO(sample_dicom()), stop_before_pixels=True)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


WARNINGS = ("The view is not stated; it was taken to be frontal.", "The image was turned by 180 degrees.")


def draft(
    of: Dataset, text: str = TEXT, predecessor: tuple[str, str] | None = None, warnings: tuple[str, ...] = ()
) -> Draft:
    """A draft on a header."""
    findings, impression = (part.split(": ")[1] for part in TEXT.split("\n"))
    created = datetime.datetime(2026, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)
    return Draft(of, text, findings, impression, "llm-cxr-demo-0.3", "ab" * 32, "key", created, warnings, predecessor)


def real_headers() -> list[Path]:
    """The real chest files, where they are."""
    folder = SHARED / "dicom" / "chest"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def read_back(dataset: Dataset) -> Dataset:
    """The dataset after a trip through its file."""
    return pydicom.dcmread(io.BytesIO(to_bytes(dataset)))


@pytest.mark.parametrize("warnings", [(), WARNINGS])
@pytest.mark.parametrize("write", WRITERS)
def test_a_document_passes_dciodvfy(tmp_path: Path, write: Writer, warnings: tuple[str, ...]) -> None:
    path = tmp_path / "document.dcm"
    path.write_bytes(to_bytes(write(draft(source(), warnings=warnings))))
    assert dciodvfy_errors(path) == []


@pytest.mark.skipif(not real_headers(), reason="shared data is absent")
@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("file", real_headers(), ids=lambda path: path.name)
def test_a_document_on_a_real_image_passes_dciodvfy(tmp_path: Path, write: Writer, file: Path) -> None:
    path = tmp_path / "document.dcm"
    header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
    path.write_bytes(to_bytes(write(draft(header, predecessor=("1.2.3", "1.2.4")))))
    # One film has an accession number of 56 characters, which the document repeats.
    too_long = len(header.get("AccessionNumber") or "") > 16
    errors = dciodvfy_errors(path)
    assert errors == [] or (too_long and len(errors) == 2 and "(0x0008,0x0050)" in errors[0])
    assert str(read_back(write(draft(header))).PatientID) == str(header.get("PatientID", ""))


def test_a_synthetic_capture_passes_dciodvfy(tmp_path: Path) -> None:
    path = tmp_path / "synthetic.dcm"
    path.write_bytes(to_bytes(synthetic_capture(np.zeros((256, 256), np.uint8), Provenance("m-1", "ab" * 32, 1, "x"))))
    assert dciodvfy_errors(path) == []


@pytest.mark.parametrize("write", WRITERS)
def test_writing_again_yields_the_same_bytes(write: Writer) -> None:
    assert to_bytes(write(draft(source()))) == to_bytes(write(draft(source())))


@pytest.mark.parametrize("write", WRITERS)
def test_a_document_joins_the_sources_study_as_an_unverified_draft(write: Writer) -> None:
    header = source(AccessionNumber="A-1")
    found = read_back(write(draft(header)))
    assert found.StudyInstanceUID == header.StudyInstanceUID
    assert found.SeriesInstanceUID != header.SeriesInstanceUID
    assert (found.PatientID, found.AccessionNumber) == (header.PatientID, "A-1")
    assert found.SeriesDescription == "AI draft - unverified"
    assert found.SyntheticData == "YES"  # as the source's
    assert found.ContributingEquipmentSequence[0].PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    if found.Modality == "SR":
        assert (found.CompletionFlag, found.VerificationFlag, found.PreliminaryFlag) == (
            "COMPLETE",
            "UNVERIFIED",
            "PRELIMINARY",
        )
        evidence = found.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
        assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == header.SOPInstanceUID


def test_dsrdump_reads_the_report(tmp_path: Path) -> None:
    if shutil.which("dsrdump") is None:
        pytest.skip("dcmtk is not installed (make peers)")
    path = tmp_path / "report.dcm"
    path.write_bytes(to_bytes(basic_text_report(draft(source()))))
    shown = subprocess.run(["dsrdump", "+U8", str(path)], capture_output=True, text=True, check=True).stdout
    assert "X-Ray Report" in shown
    assert "Normal chest radiograph." in shown


def _texts(item: Dataset) -> list[tuple[str, str]]:
    """Concept and text of every text item below, in the order of the document."""
    found = [(item.ConceptNameCodeSequence[0].CodeMeaning, item.TextValue)] if item.ValueType == "TEXT" else []
    return found + [text for below in item.get("ContentSequence") or [] for text in _texts(below)]


@pytest.mark.parametrize(
    ("write", "concept"),
    [(basic_text_report, "Procedure Description"), (measurement_report, "Warning about image or report")],
)
def test_what_was_doubted_of_the_image_stands_before_the_report(write: Writer, concept: str) -> None:
    texts = _texts(read_back(write(draft(source(), warnings=WARNINGS))))
    at = [number for number, (name, _) in enumerate(texts) if name == concept]
    assert [texts[number][1].removeprefix("Warning: ") for number in at] == list(WARNINGS)
    assert at[-1] < next(number for number, (_, text) in enumerate(texts) if "Normal chest radiograph" in text)
    assert concept not in [name for name, _ in _texts(write(draft(source())))]


def test_the_picture_says_what_was_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    text = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text", lambda pen, xy, line, **words: (drawn.append(line), text(pen, xy, line, **words))
    )
    report_capture(draft(source(), warnings=WARNINGS))
    assert drawn[0].endswith("WARNINGS: 2")
    assert [line for line in drawn if line.startswith("WARNING:")] == [f"WARNING: {warning}" for warning in WARNINGS]


def test_the_fhir_report_says_what_was_doubted() -> None:
    model = pytest.importorskip("fhir.resources.R4B.diagnosticreport")
    body = diagnostic_report(draft(source(), warnings=WARNINGS))
    model.DiagnosticReport.model_validate(body)
    notes = [item["valueAnnotation"]["text"] for item in body["extension"] if "valueAnnotation" in item]
    assert notes == [f"Warning: {warning}" for warning in WARNINGS]


def test_a_text_without_headings_is_all_findings() -> None:
    plain = Draft(source(), "Clear lungs.\x00", None, None, "m", "a" * 64, "k", datetime.datetime(2026, 1, 1))
    sections = [item for item in basic_text_report(plain).ContentSequence if item.ValueType == "CONTAINER"]
    assert [item.ContentSequence[0].TextValue for item in sections] == ["Clear lungs."]


def test_a_long_report_is_a_readable_picture() -> None:
    found = report_capture(draft(source(), text="word " * 400))
    pixels = found.pixel_array
    assert pixels.shape[1] == 1024
    assert pixels.max() == 255
    assert 0.005 < (pixels > 127).mean() < 0.3


def test_the_fhir_report_is_valid_r4_and_preliminary() -> None:
    model = pytest.importorskip("fhir.resources.R4B.diagnosticreport")
    body = diagnostic_report(draft(source(AccessionNumber="A-1")))
    report = model.DiagnosticReport.model_validate(body)
    assert report.status == "preliminary"
    assert body["imagingStudy"][0]["identifier"]["value"] == f"urn:oid:{source().StudyInstanceUID}"
    assert "SAMPLE^SYNTHETIC" not in str(body)
