"""Which view a header names: PS3.3 C.8.11.5 and C.8.1.3, what devices write, codes, words of five languages."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.tag import Tag

from app.dicom.evidence import Side, View, evidence_of, refusal_of, warnings_of
from app.dicom.evidence.stored import dataset_of, kept_of
from tests.support.radiographs import sequence_item

_POSITIONS = {
    "PA": "PA|pa|PA ERECT|PA 180|POSTERO-ANTERIOR|PosteroAnterior|P.A.|PA CHEST|DV|d.v.",
    "AP": "AP|AP SUPINE|ANTERO-POSTERIOR|AP PORTABLE|AP_SITTING|ANTEROPOSTERIOR|VD|V.D.|AP TABLE|AP BUCKY",
    "FRONTAL": "FRONTAL|FRONT|AP/PA|FACE",
    "LATERAL": "LL|RL|LAT|LATERAL|L LAT|R LAT|XTABLE LAT|XTABLE|CROSS-TABLE LATERAL|SWIMMERS|LEFT LATERAL|PROFIL",
    "OBLIQUE": "RLO|LLO|LPO|RPO|LAO|RAO|OBL|AP OBLIQUE|OBLIQUE",
    "OTHER": "RLD|LLD|DECUB|AP LORDO|AP LLDECUB|AP LDECUB|AP RLDECUB|AP LATDECUB|AP LLD"
    "|LORDOTIC|AP LORDOTIC|AXIAL|AP AXIAL|LAT DECUB|XYZZY|AP LAT|CC|MLO",
    "UNSTATED": "|UNKNOWN|ERECT|PORTABLE|STAND|WALL|TABLE|BUCKY",
}
_DESCRIPTIONS = {
    "PA": "Chest PA|Thorax p.a.|Thorax PA stehend|Rx tórax PA|Torace PA|Thorax pa bilateral",
    "AP": "Chest AP portable|Thorax a.p. liegend|Tórax AP en decúbito supino|Thorax AP décubitus dorsal",
    "FRONTAL": "Thorax de face|Radiographie du thorax face|Tórax frente|Torace frontale",
    "LATERAL": "Chest LAT|Chest lateral|Thorax seitlich|Thorax seitl.|Thorax profil|Tórax perfil|Torace laterale"
    "|Thorax Profil gauche|ThoraxLAT|Torace latero-laterale|Tórax lateral|X-table|Thorax links anl.",
    "OBLIQUE": "Chest oblique|Thorax schräg|Tórax oblicua|Torace obliquo|Chest RAO",
    "OTHER": "Chest decub|Thorax Seitenlage|Linksseitenlage|Left lateral decubitus|Chest apical lordotic",
    "UNSTATED": "Chest 2 views|bilateral|Chest PA and LAT|PA/LAT|Thorax face et profil|Tórax PA y lateral|2 hours later"
    "|Thorax in 2 Ebenen|laterality marker",
}


def cases(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(text, side) for side, texts in table.items() for text in texts.split("|")]


def view(**attributes: object) -> View:
    return evidence_of(sequence_item(**attributes)).view


def coded(value: str, scheme: str = "SCT", meaning: str = "") -> Sequence:
    return Sequence([sequence_item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


@pytest.mark.parametrize(("text", "side"), cases(_POSITIONS))
def test_a_view_position_is_what_it_says_and_an_unknown_one_is_not_frontal(text: str, side: str) -> None:
    assert view(ViewPosition=text).side == side


@pytest.mark.parametrize(("text", "side"), cases(_DESCRIPTIONS))
@pytest.mark.parametrize("keyword", ["SeriesDescription", "ProtocolName", "StudyDescription"])
def test_a_description_in_five_languages_names_the_view(text: str, side: str, keyword: str) -> None:
    assert view(**{keyword: text}).side == side


_NAMED = {"PosteroAnterior": "PA", "AnteroPosterior": "AP", "Frontal": "FRONTAL"}
_LATERAL = {"LateralProjection", "LeftLateral", "RightLateral", "Sagittal", "LateralMedial", "MedioLateralProjection"}


@pytest.mark.parametrize("name", codes.CID4010.dir())
def test_every_view_of_cid_4010_is_known_by_its_code_whatever_its_meaning_says(name: str) -> None:
    code = getattr(codes.CID4010, name)
    expected = _NAMED.get(name) or ("LATERAL" if name in _LATERAL else "OBLIQUE" if "Oblique" in name else None)
    found = view(ViewCodeSequence=coded(code.value, meaning="frontal" if name not in _NAMED else "lateral")).side
    assert found == (expected or found)
    assert found.is_frontal == (name in _NAMED)


@pytest.mark.parametrize(
    ("value", "side"),
    {
        "R-10206": "AP",
        "R-10214": "PA",
        "R-40888": "PA",
        "R-10202": "FRONTAL",
        "R-10236": "LATERAL",
        "R-10232": "LATERAL",
        "R-102CD": "LATERAL",
        "R-10238": "OBLIQUE",
        "R-10234": "OBLIQUE",
    }.items(),
)
@pytest.mark.parametrize("scheme", ["SRT", "SNM3", ""])
def test_the_older_codes_count_as_well(value: str, side: str, scheme: str) -> None:
    assert view(ViewCodeSequence=coded(value, scheme, "vue")).side == side


@pytest.mark.parametrize(
    ("attributes", "side"),
    [
        ({"ViewPosition": "PA", "PatientOrientation": ["A", "F"]}, "LATERAL"),
        ({"ViewPosition": "PA", "ViewCodeSequence": coded("399173006")}, "LATERAL"),
        ({"SeriesDescription": "Chest lat", "PatientOrientation": ["L", "F"]}, "LATERAL"),
        ({"PatientOrientation": ["L", "F"]}, "FRONTAL"),
        ({"ViewPosition": "FRONTAL", "ViewCodeSequence": coded("399348003")}, "AP"),
        ({"SeriesDescription": "Chest PA", "StudyDescription": "Chest LAT"}, "PA"),
        ({"ViewPosition": "PA", "SeriesDescription": "Chest LAT"}, "PA"),
    ],
)
def test_the_best_evidence_counts_and_what_is_coded_as_sideways_always(
    attributes: dict[str, object], side: str
) -> None:
    assert view(**attributes).side == side


def test_a_contradicted_view_is_a_warning() -> None:
    dataset: Dataset = sequence_item(BodyPartExamined="CHEST", ViewPosition="PA", SeriesDescription="Chest LAT")
    assert warnings_of(evidence_of(dataset)) == [
        "ViewPosition says that the view is frontal, and SeriesDescription says another one."
    ]


def test_a_lateral_is_refused_with_its_source() -> None:
    refusal = refusal_of(evidence_of(sequence_item(SeriesDescription="Chest LAT")))
    assert refusal is not None
    assert refusal.code == "not_frontal"
    assert refusal.detail == "The view is LATERAL, not frontal (PA or AP), as SeriesDescription says."
    assert Side.PA.is_frontal


_LIES = [
    {"PatientPosition": "HFDL"},
    {"PatientPosition": "HFDR"},
    {"PatientPosition": "FFDL"},
    {"PatientPosition": "FFDR"},
    {"PatientOrientationCodeSequence": ("PatientOrientationModifierCodeSequence", "102536004", "SCT", "")},
    {"PatientOrientationCodeSequence": ("PatientOrientationModifierCodeSequence", "102535000", "SCT", "")},
    {"PatientOrientationCodeSequence": ("PatientOrientationModifierCodeSequence", "X", "99L", "links Seitenlage")},
    {"ViewCodeSequence": ("ViewModifierCodeSequence", "111069", "DCM", "Crosstable")},
    {"ViewCodeSequence": ("ViewModifierCodeSequence", "272476000", "SCT", "Transthoracic")},
    {"ViewCodeSequence": ("ViewModifierCodeSequence", "260450008", "SCT", "Lordotic")},
]


@pytest.mark.parametrize("lies", _LIES, ids=str)
def test_a_patient_on_the_side_or_a_modified_view_is_not_frontal_on_any_path(lies: dict[str, object]) -> None:
    attributes: dict[str, object] = {"ViewPosition": "AP"}
    for keyword, value in lies.items():
        if isinstance(value, tuple):
            nested, *code = value
            item = coded("399348003" if keyword == "ViewCodeSequence" else "102538003")
            setattr(item[0], nested, coded(*code))
            attributes[keyword] = item
        else:
            attributes[keyword] = value
    assert not view(**attributes).side.is_frontal
    kept = {f"{Tag(keyword):08X}": kept_of(sequence_item(**attributes), keyword) for keyword in attributes}
    assert not evidence_of(dataset_of(kept)).view.side.is_frontal


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", ""])
def test_a_patient_on_the_back_or_belly_is_frontal(position: str) -> None:
    assert view(ViewPosition="AP", PatientPosition=position).side.is_frontal
