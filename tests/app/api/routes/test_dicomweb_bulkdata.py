"""WADO-RS bulk data: what metadata refers to is there."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import MPEG2MPML, ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from app.settings import Settings
from tests.app.api.routes.test_dicomweb_transcode import held, place
from tests.support.service import Service, running
from tests.support.studies import instance, parsed, quick, stow
from tests.support.syntaxes import written

BYTES = "application/octet-stream"
RELATED = f'multipart/related; type="{BYTES}"'
TABLE = bytes(range(256)) * 8


@pytest.fixture
async def pacs(settings: Settings) -> AsyncIterator[Service]:
    async with running(quick(settings, quiet_seconds=60.0), durable=True) as service:
        yield service


def references(item: dict[str, Any]) -> Iterator[str]:
    for element in item.values():
        if "BulkDataURI" in element:
            yield element["BulkDataURI"]
        for value in element.get("Value", []):
            if element["vr"] == "SQ":
                yield from references(value)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless], ids=lambda uid: uid.name)
async def test_each_reference_of_the_metadata_gives_its_value(pacs: Service, syntax: str) -> None:
    dataset, outer, inner = parsed(instance()), Dataset(), Dataset()
    inner.RedPaletteColorLookupTableData = TABLE
    outer.ReferencedImageSequence = [Dataset(), inner]
    dataset.RequestAttributesSequence = [outer]
    dataset.private_block(0x0009, "MAKER", create=True).add_new(1, "OB", TABLE)
    pixels = dataset.PixelData
    table = TABLE
    if syntax == ExplicitVRBigEndian:
        # `written` swaps the table in the first item of this sequence.
        outer.ReferencedImageSequence = [inner, Dataset()]
        table = b"\1\2\3\4"
    await stow(pacs.client, written(dataset, syntax))
    (found,) = (await pacs.client.get(f"{place(dataset)}/metadata")).json()
    expected = {f"{place(dataset)}/bulkdata/00091001": TABLE, f"{place(dataset)}/bulkdata/7FE00010": pixels}
    if len(table) > 768:
        expected[f"{place(dataset)}/bulkdata/00400275/0/00081140/1/00281201"] = table
    given = {}
    for reference in references(found):
        for accept in (BYTES, "*/*", f"{BYTES}; transfer-syntax={ExplicitVRLittleEndian}"):
            response = await pacs.client.get(reference, headers={"Accept": accept})
            assert (response.status_code, response.headers["Content-Type"]) == (200, BYTES)
            assert response.headers["Content-Length"] == str(len(response.content))
        given[reference[reference.index("/dicom-web") :]] = response.content
        head = await pacs.client.head(reference)
        assert (head.status_code, head.headers["Content-Length"]) == (200, response.headers["Content-Length"])
    assert given == expected


@pytest.mark.parametrize("accept", [RELATED, f"multipart/related; type={BYTES}; transfer-syntax=*"])
async def test_a_value_is_given_as_the_one_part_of_a_multipart_answer(pacs: Service, accept: str) -> None:
    source = await held(pacs, RLELossless)
    response = await pacs.client.get(f"{place(source)}/bulkdata/7fe00010", headers={"Accept": accept})
    assert response.headers["Content-Type"].startswith(f"{RELATED}; boundary=")
    head, _, data = response.content.partition(b"\r\n\r\n")
    assert f"Content-Type: {BYTES}; transfer-syntax={ExplicitVRLittleEndian}".encode() in head
    assert data.startswith(source.PixelData + b"\r\n--")


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("00281201", BYTES, 404),
        ("00081140/0/00281201", BYTES, 404),
        ("7FE0001", BYTES, 404),
        ("7FE00010/", BYTES, 404),
        ("PixelData", BYTES, 404),
        ("00081140/99999999/00281201", BYTES, 404),
        ("7FE00010", "image/jpeg", 406),
        ("7FE00010", 'multipart/related; type="image/jpeg"', 406),
        ("7FE00010", f"{BYTES}; transfer-syntax={RLELossless}", 406),
        ("7FE00010", f"{BYTES};q=0", 406),
        ("7FE00010", f"image/jpeg, {BYTES};q=0.1", 200),
        ("00080018", BYTES, 200),
    ],
)
async def test_what_is_not_there_is_404_and_another_form_406(
    pacs: Service, path: str, accept: str, status: int
) -> None:
    source = await held(pacs, RLELossless)
    response = await pacs.client.get(f"{place(source)}/bulkdata/{path}", headers={"Accept": accept})
    assert response.status_code == status, response.text


async def test_pixel_data_without_a_decoder_is_406_and_other_values_are_given(pacs: Service) -> None:
    source = await held(pacs, MPEG2MPML)
    refused = await pacs.client.get(f"{place(source)}/bulkdata/7FE00010")
    assert refused.status_code == 406
    assert str(MPEG2MPML) in refused.json()["detail"]
    given = await pacs.client.get(f"{place(source)}/bulkdata/00080018")
    assert given.content.rstrip(b"\0").decode() == source.SOPInstanceUID
