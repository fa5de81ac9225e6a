"""Matching keys of searches (PS3.18 10.6.1.2.3 and PS3.4 C.2.2.2): which columns and stored attributes they look at."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from pydicom.datadict import dictionary_VR, tag_for_keyword

from app.errors import InvalidRequest
from app.store.tables import instances, studies

Texts = Sequence[sa.ColumnElement[str]]
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def _tag(keyword: str) -> str:
    return f"{tag_for_keyword(keyword):08X}"


def _stored(attributes: sa.Column[Any], keyword: str) -> Texts:
    """The first value of an attribute in DICOM JSON; of a name all its component groups."""
    path: tuple[str | int, ...] = (_tag(keyword), "Value", 0)
    paths = [(*path, group) for group in _GROUPS] if dictionary_VR(keyword) == "PN" else [path]
    return [sa.cast(attributes[one].as_string(), sa.Text) for one in paths]


STUDY_KEYS: dict[str, Texts] = {
    "StudyInstanceUID": [studies.c.study_uid],
    "PatientID": [studies.c.patient_id],
    "PatientName": [studies.c.patient_name, *_stored(studies.c.attributes, "PatientName")],
    "StudyDate": [studies.c.study_date],
    "AccessionNumber": [studies.c.accession_number],
    **{
        keyword: _stored(studies.c.attributes, keyword)
        for keyword in ("StudyTime", "StudyID", "ReferringPhysicianName", "PatientBirthDate", "PatientSex",
                        "StudyDescription")
    },
}  # fmt: skip
INSTANCE_KEYS: dict[str, Texts] = {
    "SeriesInstanceUID": [instances.c.series_uid],
    "Modality": [instances.c.modality],
    "ModalitiesInStudy": [instances.c.modality],
    "SOPInstanceUID": [instances.c.sop_instance_uid],
    "SOPClassUID": [instances.c.sop_class_uid],
    **{
        keyword: _stored(instances.c.attributes, keyword)
        for keyword in ("SeriesNumber", "SeriesDescription", "BodyPartExamined", "InstanceNumber")
    },
}
KEYS = frozenset({*STUDY_KEYS, *INSTANCE_KEYS})
_SEVERAL = ("Modality", "ModalitiesInStudy")
_FORMS = {"DA": (re.compile(r"\d{8}"), "YYYYMMDD"), "TM": (re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?"), "HHMMSS")}


def conditions(matches: Mapping[str, str], keys: Mapping[str, Texts]) -> Iterable[sa.ColumnElement[bool]]:
    """What rows have to fulfil. An empty value matches everything (C.2.2.2.3). Raises InvalidRequest."""
    for keyword, value in matches.items():
        if keyword in keys and value:
            vr = dictionary_VR(keyword)
            match = _range if vr in _FORMS else _text
            yield sa.or_(*(match(text, keyword, value) for text in keys[keyword]))


def _text(text: sa.ColumnElement[str], keyword: str, value: str) -> sa.ColumnElement[bool]:
    if keyword.endswith("UID"):
        return text.in_(value.replace("\\", ",").split(","))  # UID list matching, C.2.2.2.2
    if keyword in _SEVERAL:
        found = [_wild(text, one.strip()) for one in value.replace("\\", ",").split(",") if one.strip()]
        return sa.or_(*found) if found else sa.true()
    if dictionary_VR(keyword) == "PN":
        # Without case, in every script: the database's own functions are asked for both sides.
        return _wild(sa.func.lower(text), value.lower())
    return _wild(text, value)


def _wild(text: sa.ColumnElement[str], value: str) -> sa.ColumnElement[bool]:
    if "*" not in value and "?" not in value:
        return text == value
    # Wild card matching, C.2.2.2.4
    pattern = value.replace("!", "!!").replace("%", "!%").replace("_", "!_").replace("*", "%").replace("?", "_")
    return text.like(pattern, escape="!")


def _range(text: sa.ColumnElement[str], keyword: str, value: str) -> sa.ColumnElement[bool]:
    """Range matching, C.2.2.2.5: also of times, whose parts stand in the order of their weight."""
    form, words = _FORMS[dictionary_VR(keyword)]
    start, dash, end = value.partition("-")
    if not (start or end) or not all(part == "" or form.fullmatch(part) for part in (start, end)):
        raise InvalidRequest(f"{keyword}: give {words}, or a range with a hyphen")
    if not dash:
        return text == start
    bounds = [text >= start] if start else []
    if end:
        # The end is within, to its last fraction.
        bounds.append(sa.or_(text <= end, text.like(f"{end}%")))
    return sa.and_(text != "", *bounds)
