"""Purpose and orientation, what intake keeps of a header, and headers that are damaged."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from app.dicom.evidence import evidence_of, refusal_of, warnings_of
from app.dicom.evidence.orientation import orientation_of
from app.dicom.evidence.stored import KEYWORDS, dataset_of
from app.dicom.header import INSTANCE_KEYWORDS, SERIES_KEYWORDS, STUDY_KEYWORDS, attributes_of
from tests.support.radiographs import sequence_item


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"}, "for_processing"),
        ({"QualityControlImage": "YES"}, "quality_control_image"),
        ({"CalibrationImage": "YES"}, "quality_control_image"),
        ({"SeriesDescription": "Flat field"}, "quality_control_image"),
        ({"StudyDescription": "Chest Phantom"}, "quality_control_image"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "PHANTOM"]}, "quality_control_image"),
        ({"StudyDescription": "Phantom limb pain, chest"}, None),
        ({"PatientName": "PHANTOM^DR"}, None),
        ({"PresentationIntentType": "FOR PRESENTATION", "QualityControlImage": "NO"}, None),
    ],
)
def test_what_is_not_made_for_reading_is_refused(attributes: dict[str, object], code: str | None) -> None:
    refusal = refusal_of(evidence_of(sequence_item(BodyPartExamined="CHEST", **attributes)))
    assert (refusal and refusal.code) == code


@pytest.mark.parametrize(
    ("kind", "original"),
    [(["ORIGINAL", "PRIMARY"], True), (["DERIVED", "PRIMARY"], False), (["DERIVED", "SECONDARY"], False), ([], None)],
)
def test_an_image_type_tells_originals_from_what_was_made_of_them(kind: list[str], original: bool | None) -> None:
    assert evidence_of(sequence_item(ImageType=kind)).purpose.original is original


def test_burned_in_annotations_are_a_warning() -> None:
    found = warnings_of(evidence_of(sequence_item(BurnedInAnnotation="YES", ImageType=["DERIVED", "SECONDARY"])))
    assert any("burned in" in one for one in found)
    assert any("SECONDARY" in one for one in found)


@pytest.mark.parametrize(
    ("values", "plane"),
    [
        *(([rows, columns], "frontal") for rows in "LR" for columns in "HF"),
        *(([rows, columns], "frontal") for rows in "HF" for columns in "LR"),
        *(([rows, columns], "sagittal") for rows in "AP" for columns in "HF"),
        *(([rows, columns], "sagittal") for rows in "HF" for columns in "AP"),
        (["A", "L"], "axial"),
        (["LH", "FL"], "frontal"),
        (["L", "R"], "nonsense"),
        (["L", "L"], "nonsense"),
        (["L", ""], "nonsense"),
        (["X", "F"], "nonsense"),
        ("L", "nonsense"),
        (["L", "F", "H"], "nonsense"),
        ("", "unstated"),
    ],
)
def test_a_patient_orientation_is_a_plane_or_nonsense(values: list[str] | str, plane: str) -> None:
    assert orientation_of(sequence_item(PatientOrientation=values)).plane == plane


def test_what_intake_keeps_gives_the_same_evidence_and_no_search_returns_it() -> None:
    region = Sequence([sequence_item(CodeValue="51185008", CodingSchemeDesignator="SCT", CodeMeaning="Brustkorb")])
    dataset = sequence_item(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.1", AnatomicRegionSequence=region, PatientOrientation=["R", "F"],
        SeriesDescription="Thorax seitlich", ImageType=["DERIVED", "PRIMARY"], ProtocolName="Thorax\0\ud800",
        QualityControlImage="YES", RequestedProcedureDescription="chest", BurnedInAnnotation="YES",
    )  # fmt: skip
    kept = attributes_of(dataset)
    json.dumps(kept).encode("utf-8")
    assert evidence_of(dataset_of(json.loads(json.dumps(kept)))) == evidence_of(dataset)
    searched = sequence_item(**dict.fromkeys((*STUDY_KEYWORDS, *SERIES_KEYWORDS, *INSTANCE_KEYWORDS), ""))
    assert "ImageType" not in searched
    assert "PatientOrientation" not in searched


def test_what_is_kept_is_bounded() -> None:
    items = Sequence([sequence_item(CodeValue="X" * 900, CodeMeaning="Y" * 900) for _ in range(500)])
    kept = attributes_of(sequence_item(**{name: items for name in KEYWORDS if name.endswith("Sequence")}))
    assert len(json.dumps(kept)) < 64_000


def test_an_instance_of_an_older_release_has_the_evidence_of_what_was_kept() -> None:
    old = {
        "00185101": {"vr": "CS", "Value": ["LL"]},
        "00180015": {"vr": "CS"},
        "0008103E": {"vr": "LO", "Value": [None]},
    }
    assert evidence_of(dataset_of(old)).view.side == "LATERAL"
    assert evidence_of(dataset_of({"00082218": {"vr": "SQ", "Value": ["x"]}, "00080008": 7})).view.side == "UNSTATED"


_JUNK = st.one_of(st.none(), st.binary(max_size=9), st.text(max_size=20), st.integers(), st.lists(st.text(max_size=4)))


@given(st.dictionaries(st.sampled_from(KEYWORDS), _JUNK))
@settings(max_examples=150, deadline=None)
def test_no_damage_makes_it_raise(values: dict[str, object]) -> None:
    dataset = Dataset()
    for keyword, value in values.items():
        try:
            setattr(dataset, keyword, value)
        except Exception:  # pydicom refuses some of them itself
            dataset._dict.clear()
    evidence = evidence_of(dataset)
    assert isinstance(warnings_of(evidence), list)
    refusal_of(evidence)
    attributes_of(dataset)
