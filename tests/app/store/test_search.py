"""Searches by every required key of PS3.18 10.6.1.2.3, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import InvalidRequest
from app.store.search import Level, Query, Search
from tests.support.ingest import Held
from tests.support.studies import instance, parsed

FIRST: dict[str, Any] = {
    "StudyID": "S1", "StudyTime": "101500", "StudyDate": "20260105", "ReferringPhysicianName": "Müller^Änne",
    "PatientName": "MÜLLER^Jörg=山田^太郎=やまだ^たろう", "SeriesNumber": 3, "InstanceNumber": 7, "PatientID": "P1",
    "AccessionNumber": "A1", "PatientSex": "M", "PatientBirthDate": "19600101", "StudyDescription": "Chest PA",
}  # fmt: skip
SECOND: dict[str, Any] = {
    "StudyID": "S2", "StudyTime": "230000.5", "StudyDate": "20260210", "ReferringPhysicianName": "Roe^R",
    "PatientName": "Doe^Jane", "SeriesNumber": 4, "InstanceNumber": 8, "PatientID": "P2", "AccessionNumber": "A2",
    "PatientSex": "F", "PatientBirthDate": "19700101", "StudyDescription": "Chest AP", "Modality": "DX",
}  # fmt: skip


@pytest.fixture
def held(tmp_path: Path, url: str) -> Iterator[Held]:
    """An ingestor on each database."""
    made = Held(tmp_path, url)
    made.ingestor.start()
    yield made
    made.close()


async def found(held: Held, level: Level, **matches: str) -> set[str]:
    items, _ = await Search(held.database).find(Query(level, matches, 10, 0))
    return {item["00100020"]["Value"][0] for item in items}


@pytest.mark.parametrize("level", ["studies", "series", "instances"])
@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("StudyID", "S1", {"P1"}),
        ("StudyID", "S*", {"P1", "P2"}),
        ("StudyTime", "101500", {"P1"}),
        ("StudyTime", "1000-1015", {"P1"}),
        ("StudyTime", "22-", {"P2"}),
        ("StudyTime", "-230000", {"P1", "P2"}),
        ("StudyDate", "20260101-20260131", {"P1"}),
        ("ReferringPhysicianName", "müller*", {"P1"}),
        ("ReferringPhysicianName", "MÜLLER^ÄNNE", {"P1"}),
        ("PatientName", "müller*", {"P1"}),
        ("PatientName", "山田*", {"P1"}),
        ("PatientName", "*たろう", {"P1"}),
        ("PatientName", "DOE^*", {"P2"}),
        ("PatientName", "*", {"P1", "P2"}),
        ("AccessionNumber", "A2", {"P2"}),
        ("AccessionNumber", "a2", set()),
        ("PatientSex", "F", {"P2"}),
        ("PatientBirthDate", "-19650101", {"P1"}),
        ("ModalitiesInStudy", "CR,DX", {"P1", "P2"}),
        ("ModalitiesInStudy", "CR\\DX", {"P1", "P2"}),
        ("ModalitiesInStudy", "DX", {"P2"}),
        ("Modality", "CT,MR", set()),
        ("SeriesNumber", "3", {"P1"}),
        ("InstanceNumber", "8", {"P2"}),
        ("StudyID", "", {"P1", "P2"}),
    ],
)
async def test_every_required_key_matches(held: Held, level: Level, key: str, value: str, expected: set[str]) -> None:
    for attributes in (FIRST, SECOND):
        held.accept(instance(SpecificCharacterSet="ISO_IR 192", **attributes))
    assert await found(held, level, **{key: value}) == expected


@pytest.mark.parametrize(("key", "value"), [("StudyTime", "noon"), ("StudyTime", "10:15"), ("StudyDate", "-")])
async def test_what_is_no_range_is_refused(held: Held, key: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=key):
        await found(held, "studies", **{key: value})


async def test_every_result_names_its_uids(held: Held) -> None:
    data = instance()
    held.accept(data)
    (item,), _ = await Search(held.database).find(Query("instances", {}, 10, 0))
    header = parsed(data)
    assert [item[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")] == [
        header.StudyInstanceUID,
        header.SeriesInstanceUID,
        header.SOPInstanceUID,
    ]
