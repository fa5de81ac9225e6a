"""WADO-RS: in which form and transfer syntax instances are given."""

from collections.abc import AsyncIterator

import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from app.settings import Settings
from tests.support.service import Service, running
from tests.support.studies import instance, multipart, parsed, quick, stow

RELATED = 'multipart/related; type="application/dicom"'
EXPLICIT = str(ExplicitVRLittleEndian)


@pytest.fixture
async def held(settings: Settings) -> AsyncIterator[tuple[Service, str]]:
    """A service that holds one instance, and its path."""
    async with running(quick(settings, quiet_seconds=60.0), durable=True) as service:
        data = instance()
        await stow(service.client, data)
        header = parsed(data)
        assert header.file_meta.TransferSyntaxUID == EXPLICIT
        path = f"/dicom-web/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}"
        yield service, f"{path}/instances/{header.SOPInstanceUID}"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        (RELATED, 200),
        (f"{RELATED}; transfer-syntax=*", 200),
        (f"{RELATED}; transfer-syntax={EXPLICIT}", 200),
        ("multipart/related; type=application/dicom; transfer-syntax=*", 200),
        ("Multipart/Related; Type=APPLICATION/DICOM", 200),
        ("multipart/related; type=image/jpeg", 406),
        (f"{RELATED}; transfer-syntax={RLELossless}", 406),
        (f"{RELATED}; transfer-syntax={RLELossless}, {RELATED}; transfer-syntax={EXPLICIT};q=0.5", 200),
        (f"{RELATED}; transfer-syntax={RLELossless}, */*;q=0", 406),
        ("application/dicom", 200),
        (f"application/dicom; transfer-syntax={RLELossless}", 406),
        ('multipart/related; type="application/dicom+json"', 406),
        ('multipart/related; type="application/octet-stream"', 406),
        ("image/jpeg", 406),
    ],
)
@pytest.mark.parametrize("by", ["header", "query"])
async def test_the_transfer_syntax_that_is_asked_for_is_given_or_refused(
    held: tuple[Service, str], accept: str, status: int, by: str
) -> None:
    service, path = held
    headers, query = ({"Accept": accept}, {}) if by == "header" else ({}, {"accept": accept})
    response = await service.client.get(path, headers=headers, params=query)
    assert response.status_code == status, response.text
    if status == 406:
        assert EXPLICIT in response.json()["detail"] or "offered" in response.json()["detail"]


async def test_answers_name_the_transfer_syntax_that_they_are_in(held: tuple[Service, str]) -> None:
    service, path = held
    single = await service.client.get(path, headers={"Accept": "application/dicom"})
    assert single.headers["Content-Type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
    several = await service.client.get(path.partition("/series/")[0], headers={"Accept": RELATED})
    assert f"Content-Type: application/dicom; transfer-syntax={EXPLICIT}\r\n".encode() in several.content


async def test_head_tells_what_get_gives(held: tuple[Service, str]) -> None:
    service, path = held
    got = await service.client.get(path, headers={"Accept": "application/dicom"})
    head = await service.client.head(path, headers={"Accept": "application/dicom"})
    assert (head.status_code, head.headers["Content-Length"]) == (200, got.headers["Content-Length"])


@pytest.mark.parametrize("accept", ["application/json", "application/dicom+json", "*/*"])
async def test_a_store_answers_in_json_by_either_name(held: tuple[Service, str], accept: str) -> None:
    service, _ = held
    body, headers = multipart([instance()])
    response = await service.client.post("/dicom-web/studies", content=body, headers={**headers, "Accept": accept})
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/dicom+json")
