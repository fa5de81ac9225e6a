"""From which side an image was taken, by what its header says.

A value that is not known is no frontal view. Decubitus views (horizontal beam) and lordotic ones (tilted beam) are
frontal in name and refused: fluid, air and heart lie elsewhere in them than in the radiographs that the model knows.
What is coded and not frontal wins over everything; descriptions are asked where nothing coded tells the side, those of
the series before those of the study, which may have films of several views.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydicom.dataset import Dataset

from app.dicom.evidence.codes import SNOMED, Code, codes_of
from app.dicom.evidence.orientation import Orientation
from app.dicom.evidence.view_words import NOISE, OTHERWISE, SUPINE, WORDS
from app.dicom.evidence.words import folded, term
from app.dicom.values import prose_of


class Side(StrEnum):
    """The side."""

    PA = "PA"
    AP = "AP"
    FRONTAL = "FRONTAL"
    LATERAL = "LATERAL"
    OBLIQUE = "OBLIQUE"
    OTHER = "OTHER"
    UNSTATED = "UNSTATED"

    @property
    def is_frontal(self) -> bool:
        """Whether it is PA, AP, or one of them."""
        return self in (Side.PA, Side.AP, Side.FRONTAL)


# PS3.16 CID 4010 DX View, by the codes of SNOMED CT and those of SRT before.
_SIDES = {
    Side.PA: "272479007 R-40888 R-10214",
    Side.AP: "399348003 R-10206",
    Side.FRONTAL: "399033003 R-10202",
    Side.LATERAL: """399067008 R-102CD 399198007 R-10232 399173006 R-10236 30730003 G-A145
        399352003 R-10228 399260004 R-10224""",
    Side.OBLIQUE: """399182000 R-102C1 399236003 R-10234 399184004 R-10238 399038007 R-10210 399006002 R-10212
        399135007 R-10220 399356000 R-40985 R-10218 399059000 R-10216 399312000 R-10208 399160007 R-10204 260427002
        R-40783 260426006 R-40782 399099002 R-10230 399368009 R-10226 399004004 R-10246 399288005 R-10248 399225005
        R-10250 399132005 R-10252 399325008 R-10254""",
    Side.OTHER: """399061009 R-10241 399110001 R-102C2 399162004 R-10242 399196006 R-10244 399242004 R-102C6 399351005
        R-102C7 260499007 R-40810 399071006 R-102C3 399360002 R-10257 119376003 G-8300 399272005 R-102C5 399255003
        R-10256 399335002 R-102C4 399316002 R-102C8""",
}
_CODES = {code: side for side, codes in _SIDES.items() for code in codes.split()}
_TELLING = (Side.OTHER, Side.OBLIQUE, Side.LATERAL)
_SERIES = ("SeriesDescription", "ProtocolName")
_STUDY = ("StudyDescription", "RequestedProcedureDescription")
_POSTURES = ("PatientPosition", "PatientOrientationCodeSequence")
KEYWORDS = ("ViewPosition", "ViewCodeSequence", *_POSTURES, *_SERIES, *_STUDY)
# PS3.16 CID 4011 and CID 20: modifiers that make another view of a frontal one. Cross-table, transthoracic; lateral
# decubitus (any, left, right), lordotic, caudad, cephalad.
_MODIFIED = {
    "111069": Side.LATERAL, "272476000": Side.LATERAL, "R-40885": Side.LATERAL,
    "32185000": Side.OTHER, "F-10318": Side.OTHER, "102536004": Side.OTHER, "F-10319": Side.OTHER,
    "102535000": Side.OTHER, "F-10317": Side.OTHER, "260450008": Side.OTHER, "R-40799": Side.OTHER,
    "399162004": Side.OTHER, "R-10242": Side.OTHER, "399196006": Side.OTHER, "R-10244": Side.OTHER,
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """The view: the keyword that says it, a word that can be shown, and a keyword that says otherwise or None."""

    side: Side
    source: str | None = None
    term: str = ""
    contradicted_by: str | None = None


def view_of(dataset: Dataset, orientation: Orientation) -> View:
    """The view by the best of what names one."""
    coded = [*_position(dataset), *_codes(dataset), *_posture(dataset), *_plane(orientation)]
    described = _described(dataset)
    sideways = [view for view in coded if not view.side.is_frontal]
    frontal = [View(Side.FRONTAL, "PatientOrientation")] if orientation.plane == "frontal" else []
    # Devices write one orientation for all their images: that it is frontal counts last.
    views = [*sideways, *coded, *described, *frontal]
    if not views:
        return View(Side.UNSTATED)
    best = views[0]
    if best.side is Side.FRONTAL:
        best = next((view for view in coded if view.side in (Side.PA, Side.AP)), best)
    against = (view.source for view in [*coded, *described] if view.side.is_frontal != best.side.is_frontal)
    return View(best.side, best.source, best.term or best.side, next(against, None))


def _position(dataset: Dataset) -> list[View]:
    text = prose_of(dataset, "ViewPosition")
    words = folded(text)
    sides = sides_in(words)
    if not sides:
        # The posture or a placeholder says nothing of the side; any other word means something that is not known.
        unknown = [word for word in words.split() if not NOISE.fullmatch(word)]
        return [View(Side.OTHER, "ViewPosition", term(text))] if unknown else []
    return [View(_one(sides) or Side.OTHER, "ViewPosition", term(text))]


def _codes(dataset: Dataset) -> list[View]:
    source, found = "ViewCodeSequence", []
    for code in codes_of(dataset, source):
        known = _CODES.get(code.value) if not code.scheme or code.scheme in SNOMED else None
        side = known or _one(sides_in(folded(code.meaning)))
        if side is None and code.value and code.scheme in SNOMED:
            side = Side.OTHER
        if side is not None:
            found.append(View(side, source))
        found += _modified(code, source)
    return found


def _posture(dataset: Dataset) -> list[View]:
    """The patient lies on a side (PS3.3 C.7.3.1.1.2; C.7.6.30): the beam is horizontal."""
    lying = prose_of(dataset, "PatientPosition").strip().upper()
    found = [View(Side.OTHER, "PatientPosition", lying)] if re.fullmatch(r"(HF|FF)D[LR]", lying) else []
    source = "PatientOrientationCodeSequence"
    return [*found, *(view for code in codes_of(dataset, source) for view in _modified(code, source))]


def _modified(code: Code, source: str) -> list[View]:
    """What the modifiers of a code make of a view, by their codes or the words of their meanings."""
    found = []
    for modifier in code.modifiers:
        side = _MODIFIED.get(modifier.value) or _one(sides_in(folded(modifier.meaning)))
        if side is not None and not side.is_frontal:
            found.append(View(side, source))
    return found


def _plane(orientation: Orientation) -> list[View]:
    if orientation.plane in ("sagittal", "axial"):
        side = Side.LATERAL if orientation.plane == "sagittal" else Side.OTHER
        return [View(side, "PatientOrientation")]
    return []


def _described(dataset: Dataset) -> list[View]:
    found = []
    for source in (*_SERIES, *_STUDY):
        sides = sides_in(folded(prose_of(dataset, source)))
        several = len({side.is_frontal for side in sides}) > 1
        # `PA and LAT` names the views of a study or series, not this one.
        if several and (source in _STUDY or Side.LATERAL in sides):
            continue
        side = _one(sides)
        if side is not None:
            found.append(View(side, source))
    return found


def sides_in(text: str) -> set[Side]:
    """The sides that a folded text names."""
    text = SUPINE.sub(" ", text)
    found = set()
    if OTHERWISE.search(text):
        # A lateral decubitus view is no lateral one.
        text = OTHERWISE.sub(" ", text)
        found.add(Side.OTHER)
    return found | {Side(name) for name, pattern in WORDS.items() if pattern.search(text)}


def _one(sides: Iterable[Side]) -> Side | None:
    """The side of those named together: `AP OBLIQUE` is oblique, `AP PA` frontal, `AP LAT` neither."""
    named = set(sides)
    sideways = {side for side in named if not side.is_frontal}
    if sideways == {Side.LATERAL} and named != sideways:
        return Side.OTHER
    if sideways:
        return min(sideways, key=_TELLING.index)
    exact = named - {Side.FRONTAL}
    return exact.pop() if len(exact) == 1 else Side.FRONTAL if named else None
