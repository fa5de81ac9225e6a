"""Searches over the held studies, series and instances (QIDO-RS, PS3.18 10.6)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import sqlalchemy as sa
from pydicom.datadict import tag_for_keyword

from app.dicom.header import INSTANCE_KEYWORDS, SERIES_KEYWORDS
from app.store.database import Database
from app.store.owners import EVERYTHING, Viewer
from app.store.search_keys import INSTANCE_KEYS, STUDY_KEYS, conditions
from app.store.tables import instances, studies

Level = Literal["studies", "series", "instances"]

_PATIENT_ID_PATH = ("00100020", "Value", 0)


@dataclass(frozen=True)
class Query:
    """What to look for: values by keyword, and the page."""

    level: Level
    matches: Mapping[str, str]
    limit: int
    offset: int
    viewer: Viewer = EVERYTHING


@dataclass(frozen=True)
class StoredInstance:
    """An instance as a retrieval needs it; `file` is its name in the spool, None once retention has removed it."""

    study_uid: str
    series_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    sha256: str
    file: str | None
    patient_id: str = ""


class Search:
    """Finds what is held."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, query: Query) -> tuple[list[dict[str, Any]], bool]:
        """DICOM JSON of what matches, and whether there is more behind the page. Raises InvalidRequest."""
        search = self._studies if query.level == "studies" else self._below
        found = await self._database.read(lambda connection: search(connection, query))
        return found[: query.limit], len(found) > query.limit

    async def instances(
        self, study: str, series: str | None = None, sop: str | None = None, viewer: Viewer = EVERYTHING
    ) -> Sequence[StoredInstance]:
        """A study's, a series' or one instance that the viewer sees, in the order of their arrival."""
        wanted = [instances.c.study_uid == study]
        if viewer != EVERYTHING:
            wanted.append(instances.c.study_uid.in_(viewer.studies))
        if series is not None:
            wanted.append(instances.c.series_uid == series)
        if sop is not None:
            wanted.append(instances.c.sop_instance_uid == sop)
        columns = [instances.c[field.name] for field in fields(StoredInstance) if field.name in instances.c]
        patient = sa.func.coalesce(instances.c.attributes[_PATIENT_ID_PATH].as_string(), "").label("patient_id")
        found = sa.select(*columns, patient).where(*wanted).order_by(instances.c.received)
        return await self._database.read(
            lambda connection: [StoredInstance(**row._mapping) for row in connection.execute(found)]
        )

    def _studies(self, connection: sa.Connection, query: Query) -> list[dict[str, Any]]:
        wanted = [query.viewer.condition, *conditions(query.matches, STUDY_KEYS)]
        inner = list(conditions(query.matches, INSTANCE_KEYS))
        if inner:
            wanted.append(studies.c.study_uid.in_(sa.select(instances.c.study_uid).where(*inner)))
        page = (
            sa.select(studies)
            .where(*wanted)
            .order_by(studies.c.created.desc(), studies.c.study_uid)
            .limit(query.limit + 1)
            .offset(query.offset)
        )
        rows = connection.execute(page).all()
        uids = [row.study_uid for row in rows]
        counted = sa.select(
            instances.c.study_uid,
            instances.c.modality,
            instances.c.series_uid,
            sa.func.count().label("count"),
        ).where(instances.c.study_uid.in_(uids))
        parts: dict[str, list[Any]] = {uid: [] for uid in uids}
        for part in connection.execute(
            counted.group_by(instances.c.study_uid, instances.c.modality, instances.c.series_uid)
        ):
            parts[part.study_uid].append(part)
        return [_study_item(row, parts[row.study_uid]) for row in rows]

    def _below(self, connection: sa.Connection, query: Query) -> list[dict[str, Any]]:
        joined = sa.select(instances, studies.c.attributes.label("study_attributes")).join(
            studies, studies.c.study_uid == instances.c.study_uid
        )
        wanted = [
            query.viewer.condition,
            *conditions(query.matches, STUDY_KEYS),
            *conditions(query.matches, INSTANCE_KEYS),
        ]
        if query.level == "series":
            first = (
                sa.select(sa.func.min(instances.c.sop_instance_uid).label("uid"), sa.func.count().label("count"))
                .join(studies, studies.c.study_uid == instances.c.study_uid)
                .where(*wanted)
                .group_by(instances.c.series_uid)
                .subquery()
            )
            joined = joined.add_columns(first.c.count).join(first, first.c.uid == instances.c.sop_instance_uid)
            wanted = []
        page = joined.where(*wanted).order_by(instances.c.received, instances.c.sop_instance_uid)
        rows = connection.execute(page.limit(query.limit + 1).offset(query.offset)).all()
        return [_series_item(row) if query.level == "series" else _instance_item(row) for row in rows]


def _tags(keywords: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{tag_for_keyword(keyword):08X}" for keyword in keywords)


_SERIES_TAGS = _tags(SERIES_KEYWORDS)
_INSTANCE_TAGS = _tags((*SERIES_KEYWORDS, *INSTANCE_KEYWORDS))


def _pick(attributes: Mapping[str, Any], tags: Iterable[str]) -> dict[str, Any]:
    return {tag: attributes[tag] for tag in tags if tag in attributes}


def _value(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def _study_item(row: Any, parts: list[Any]) -> dict[str, Any]:
    modalities = sorted({part.modality for part in parts if part.modality})
    return {
        **row.attributes,
        "0020000D": _value("UI", row.study_uid),
        "00080056": _value("CS", "ONLINE"),
        "00080061": _value("CS", *modalities),
        "00201206": _value("IS", len({part.series_uid for part in parts})),
        "00201208": _value("IS", sum(part.count for part in parts)),
    }


def _series_item(row: Any) -> dict[str, Any]:
    return {
        **row.study_attributes,
        **_pick(row.attributes, _SERIES_TAGS),
        "0020000D": _value("UI", row.study_uid),
        "0020000E": _value("UI", row.series_uid),
        "00201209": _value("IS", row.count),
    }


def _instance_item(row: Any) -> dict[str, Any]:
    availability = "ONLINE" if row.file else "UNAVAILABLE"
    return {
        **row.study_attributes,
        **_pick(row.attributes, _INSTANCE_TAGS),
        "0020000D": _value("UI", row.study_uid),
        "0020000E": _value("UI", row.series_uid),
        "00080018": _value("UI", row.sop_instance_uid),
        "00080056": _value("CS", availability),
    }
