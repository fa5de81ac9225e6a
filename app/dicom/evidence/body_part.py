"""Which part of the body an image shows, by what its header says.

Best evidence first: the body part and the coded region of the series, then descriptions, those of the series before
those of the study, which may have films of several parts. A region that holds the chest and one neighbour (neck or
abdomen, as films of newborns do) counts as the chest, with a warning. One that goes further (BABYGRAM, whole trunk or
body) does not: the chest would be a small part of the square that the model sees. Ribs, sternum, chest wall and
thoracic spine are exposed for bone and are no chest radiographs.
"""

import re
from dataclasses import dataclass
from typing import Literal

from pydicom.dataset import Dataset

from app.dicom.evidence.anatomy_words import CHEST, NEIGHBOURS, OTHERS
from app.dicom.evidence.codes import SNOMED, codes_of
from app.dicom.evidence.words import folded, term
from app.dicom.values import prose_of

Kind = Literal["chest", "other", "unstated"]

# PS3.16 Annex L and CID 4031, with the codes of releases before.
_CHEST_CODES = frozenset(
    {
        *("816094009", "51185008", "302551006", "T-D3000", "43799004", "T-D3050"),  # chest, thorax, its cavity
        *("39607008", "181216001", "3341006", "44029006", "T-28000", "T-28100", "T-28500"),  # lungs
        *("86598002", "T-280A0", "955009", "T-26000"),  # apex of lung, bronchus
        *("72410000", "T-D3300", "80891009", "T-32000"),  # mediastinum, heart: seen on the radiograph of the chest
    }
)
_CHEST_AND_NEIGHBOUR_CODES = frozenset({"416550000", "R-FAB55", "417437006", "R-FAB52"})
_CHEST_TERMS = frozenset({"chest", "thorax", "lung", "lungs", "heart", "mediastinum", "bronchus"})
_CHEST_AND_NEIGHBOUR_TERMS = frozenset({"chestabdomen", "neckchest", "chestneck", "abdomenchest"})
# Defined terms are written without blanks, so that no word of free text finds them.
_OTHER_TERMS = frozenset(
    re.findall(
        r"\w+",
        """chestabdpelvis neckchestabdomen neckchestabdpelv babygram wholebody entirebody tspine cspine lspine lsspine
    ctspine tlspine trachea rib ribs sternum clavicle scapula scjoint breast phantom topelvis chesttopelvis""",
    )
)
_PLACEHOLDERS = frozenset({"unknown", "unspecified", "undefined", "none", "na", "notstated", "default", "nil", "empty"})

_DESCRIPTIONS = ("SeriesDescription", "ProtocolName")
_STUDY_DESCRIPTIONS = ("StudyDescription", "RequestedProcedureDescription")
_PROCEDURES = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence")
KEYWORDS = ("BodyPartExamined", "AnatomicRegionSequence", *_DESCRIPTIONS, *_STUDY_DESCRIPTIONS, *_PROCEDURES)


@dataclass(frozen=True)
class Part:
    """What one attribute says: `source` is its keyword, `term` a word that can be shown, `more` more than the chest."""

    kind: Kind
    source: str
    term: str
    more: bool = False


@dataclass(frozen=True)
class Anatomy:
    """The body part. `stated` tells a coded attribute from a description; `contradicted_by` is a keyword or None."""

    kind: Kind
    source: str | None = None
    term: str = ""
    more: bool = False
    stated: bool = False
    contradicted_by: str | None = None


def anatomy_of(dataset: Dataset) -> Anatomy:
    """The body part by the best of what names one."""
    coded = [*_body_part(dataset), *_regions(dataset)]
    parts = [*coded, *_described(dataset)]
    if not parts:
        return Anatomy("unstated")
    best = parts[0]
    against = next((part.source for part in parts if part.kind != best.kind), None)
    return Anatomy(best.kind, best.source, best.term, best.more, best in coded, against)


def _body_part(dataset: Dataset) -> list[Part]:
    text = prose_of(dataset, "BodyPartExamined")
    words = folded(text)
    compact = words.replace(" ", "")
    if not compact or compact in _PLACEHOLDERS:
        return []
    source, shown = "BodyPartExamined", term(text) or "not one of the standard"
    if compact in _CHEST_TERMS:
        return [Part("chest", source, shown)]
    if compact in _CHEST_AND_NEIGHBOUR_TERMS:
        return [Part("chest", source, shown, more=True)]
    chest, others = named_in(words)
    # A word that is not known names something, and nobody says that it is the chest.
    if compact in _OTHER_TERMS or not chest or not set(others) <= NEIGHBOURS:
        return [Part("other", source, shown)]
    return [Part("chest", source, shown, more=bool(others))]


def _regions(dataset: Dataset) -> list[Part]:
    source, found = "AnatomicRegionSequence", []
    for code in codes_of(dataset, source):
        snomed = not code.scheme or code.scheme in SNOMED
        if snomed and code.value in _CHEST_CODES:
            found.append(Part("chest", source, "CHEST"))
        elif snomed and code.value in _CHEST_AND_NEIGHBOUR_CODES:
            found.append(Part("chest", source, "CHEST AND MORE", more=True))
        else:
            chest, others = named_in(folded(code.meaning))
            if code.value and code.scheme in SNOMED:
                found.append(Part("other", source, others[0] if others else f"CODE {term(code.value)}"))
            elif others and not chest:
                found.append(Part("other", source, others[0]))
            elif chest and set(others) <= NEIGHBOURS:
                found.append(Part("chest", source, "CHEST", more=bool(others)))
    kinds = {part.kind for part in found}
    if kinds == {"chest", "other"}:  # several regions of one image
        return [Part("chest", source, "CHEST AND MORE", more=True)]
    return found[:1]


def _described(dataset: Dataset) -> list[Part]:
    texts = [(keyword, prose_of(dataset, keyword)) for keyword in (*_DESCRIPTIONS, *_STUDY_DESCRIPTIONS)]
    texts += [(keyword, code.meaning) for keyword in _PROCEDURES for code in codes_of(dataset, keyword)]
    found = []
    for source, text in texts:
        chest, others = named_in(folded(text))
        if chest and not others:
            found.append(Part("chest", source, "CHEST"))
        elif others and not chest:
            found.append(Part("other", source, others[0]))
        elif chest and source in _DESCRIPTIONS and set(others) <= NEIGHBOURS:
            found.append(Part("chest", source, "CHEST AND MORE", more=True))
        # The chest and another part: a study of several films, and which of them this is stays open.
    return found


def named_in(text: str) -> tuple[bool, list[str]]:
    """Whether a folded text names the chest, and which other parts of the body it names, in our words."""
    others = []
    for name, pattern in OTHERS.items():
        # What names another part is taken away, so that the thoracic spine names no thorax.
        text, count = pattern.subn(" / ", text)
        if count:
            others.append(name)
    return CHEST.search(text) is not None, others
