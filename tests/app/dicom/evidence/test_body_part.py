"""Which part of the body a header names: defined terms, codes, and words of five languages."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes

from app.dicom.evidence import evidence_of, refusal_of, warnings_of
from app.dicom.evidence.body_part import anatomy_of
from tests.support.radiographs import sequence_item

_CHEST = {"Chest", "Mediastinum", "Heart", "Bronchus", "ApexOfLung", "ChestAndAbdomen", "NeckAndChest"}
_LEGACY = {"T-D3000": "chest", "T-28000": "chest", "T-D2500": "other", "T-D9200": "other", "T-11502": "other"}


def header(**attributes: object) -> Dataset:
    return sequence_item(**attributes)


def region(value: str, meaning: str, scheme: str = "SCT") -> Sequence:
    return Sequence([sequence_item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


@pytest.mark.parametrize(
    ("term", "kind"),
    [
        *(
            (term, "chest")
            for term in ("CHEST", "Chest", "THORAX", "TORAX", "LUNG", "PORTABLE CHEST", "Lunge", "CHEST PA")
        ),
        *((term, "chest") for term in ("CHESTABDOMEN", "NECKCHEST", "CHEST_ABDOMEN", "TORACE", "PULMON", "HEART")),
        *(
            (term, "other")
            for term in ("BABYGRAM", "WHOLEBODY", "NECKCHESTABDOMEN", "CHESTABDPELVIS", "CHEST_TO_PELVIS")
        ),
        *((term, "other") for term in ("HIP", "TSPINE", "THORACIC SPINE", "RIB", "RIBS", "STERNUM", "SKULL", "XYZZY")),
        *((term, "unstated") for term in ("", "UNKNOWN", "UNDEFINED", "N/A")),
    ],
)
def test_a_body_part_examined_is_the_chest_another_part_or_a_placeholder(term: str, kind: str) -> None:
    assert anatomy_of(header(BodyPartExamined=term)).kind == kind


@pytest.mark.parametrize("name", codes.CID4031.dir())
def test_every_region_of_cid_4031_is_known_by_its_code_whatever_its_meaning_says(name: str) -> None:
    code = getattr(codes.CID4031, name)
    found = anatomy_of(
        header(AnatomicRegionSequence=region(code.value, "Brustkorb" if name not in _CHEST else "Hüfte"))
    )
    assert found.kind == ("chest" if name in _CHEST else "other")


@pytest.mark.parametrize(("value", "kind"), _LEGACY.items())
@pytest.mark.parametrize("scheme", ["SRT", "SNM3", "99SDM"])
def test_the_older_codes_of_snomed_count_as_well(value: str, kind: str, scheme: str) -> None:
    assert anatomy_of(header(AnatomicRegionSequence=region(value, "", scheme))).kind == kind


def test_a_coded_chest_in_german_is_the_chest() -> None:
    assert refusal_of(evidence_of(header(AnatomicRegionSequence=region("51185008", "Brustkorb")))) is None


_WORDS = {
    "chest": """XR CHEST|CXR portable|Chest 2 views|ChestAP|Thorax p.a.|Röntgen Thorax|Lungenaufnahme|Bettthorax
        |Radiographie thoracique|Rx poumons face|Poitrine|Tórax PA|Rx tórax de pie|Pulmones|RX TORACE|Polmoni in piedi
        |Chest PA 6 FEET|Thorax head up 30|thorax (côté gauche)|Chest, hand held|Torax AP en decúbito supino""",
    "other": """XR HIP|Knee ap|Hand left|Thoracic spine|T-Spine lat|Ribs|Rib series left|Chest wall|Abdomen|KUB|Skull
        |Dental panoramic|Pelvis|Foot|Shoulder|Manchester Knee|Hüfte a.p.|Beckenübersicht|Knie beidseits|Handgelenk
        |BWS in 2 Ebenen|Fuß|Brustwirbelsäule|Thoraxwand links|Rippen|knöcherner Thorax|Schädel|Zahnstatus OPG|Schulter
        |Oberschenkel|Sprunggelenk|Bauch|Hanche|Genou droit|Main gauche|Rachis dorsal|Rachis thoracique|Gril costal
        |Crâne|Bassin|Pied droit|Épaule|Cheville|Cadera|Rodilla|Mano|Columna dorsal|Columna torácica|Costillas|Cráneo
        |Pie|Hombro|Tobillo|Anca|Ginocchio|Colonna dorsale|Colonna toracica|Coste|Cranio|Bacino|Piede|Spalla|Addome
        |Caviglia|Hueft rechts
        |Paroi thoracique|Parrilla costal|Thorakolumbaler Übergang|LWS|shoulder, r/o pneumothorax""",
    "unstated": "portable|AP|Chesterfield|routine|Notfall|XR CHEST AND HIP|Rx|6 feet|bilateral|main hospital",
}


@pytest.mark.parametrize(
    ("text", "kind"), [(text.strip(), kind) for kind, texts in _WORDS.items() for text in texts.split("|")]
)
@pytest.mark.parametrize("keyword", ["StudyDescription", "SeriesDescription", "ProtocolName"])
def test_a_description_in_five_languages_names_the_part(text: str, kind: str, keyword: str) -> None:
    found = anatomy_of(header(**{keyword: text}))
    assert (found.kind, found.source) == (kind, None if kind == "unstated" else keyword)


@pytest.mark.parametrize("keyword", ["ProcedureCodeSequence", "RequestedProcedureCodeSequence"])
def test_the_meaning_of_a_procedure_code_names_the_part(keyword: str) -> None:
    assert anatomy_of(header(**{keyword: region("X1", "Plain film of hip", "L")})).kind == "other"
    assert anatomy_of(header(RequestedProcedureDescription="XR knee")).kind == "other"


def test_a_film_of_another_part_without_a_body_part_is_refused_without_its_words() -> None:
    refusal = refusal_of(evidence_of(header(StudyDescription="XR HIP Miller", SeriesDescription="Hip ap")))
    assert refusal is not None
    assert refusal.code == "not_chest"
    assert refusal.detail == "The body part is HIP, not the chest, as SeriesDescription says."


def test_a_contradiction_is_a_warning_that_repeats_no_text() -> None:
    evidence = evidence_of(header(BodyPartExamined="CHEST", ViewPosition="PA", SeriesDescription="Hip of Miller"))
    assert refusal_of(evidence) is None
    assert warnings_of(evidence) == [
        "BodyPartExamined says that it is the chest, and SeriesDescription names another part."
    ]


def test_a_region_with_a_neighbour_is_read_with_a_warning() -> None:
    assert any(
        "more than the chest" in one for one in warnings_of(evidence_of(header(BodyPartExamined="CHESTABDOMEN")))
    )


@pytest.mark.parametrize(
    "text",
    [
        "Rückgrat ap", "Rachide dorsale", "mâchoire", "Kalkaneus", "Ganzbeinaufnahme", "Säugling Babygramm",
        "Knöcherner Hemithorax", "SI Gelenk", "Iliosakralgelenke", "Mastoid", "IVU", "Kolon-Kontrasteinlauf",
    ],
)  # fmt: skip
def test_a_description_of_another_part_is_no_chest(text: str) -> None:
    assert anatomy_of(header(ProtocolName=text)).kind == "other"
