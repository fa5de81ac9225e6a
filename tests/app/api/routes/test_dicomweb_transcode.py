"""WADO-RS: instances in Explicit VR Little Endian where they are held in another syntax."""

import asyncio
import struct
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    generate_uid,
)

from app.dicom.part10 import to_bytes
from app.errors import Overloaded
from app.settings import Settings
from app.store.scratch import Scratch
from tests.support.service import Service, running
from tests.support.studies import instance, parsed, quick, stow
from tests.support.syntaxes import WRITABLE, written

RELATED = 'multipart/related; type="application/dicom"'
SINGLE = "application/dicom"
EXPLICIT = str(ExplicitVRLittleEndian)
RLE = str(RLELossless)


@pytest.fixture
async def pacs(settings: Settings) -> AsyncIterator[Service]:
    async with running(quick(settings, quiet_seconds=60.0), durable=True) as service:
        yield service


def place(dataset: Dataset) -> str:
    path = f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
    return f"{path}/instances/{dataset.SOPInstanceUID}"


async def held(pacs: Service, syntax: str, of: Dataset | None = None, damaged: bool = False) -> Dataset:
    """Store an instance, of the same study as another; returns what it was before it was encoded."""
    dataset = parsed(instance())
    if of is not None:
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = of.StudyInstanceUID, of.SeriesInstanceUID
    source = to_bytes(dataset)
    if syntax == MPEG2MPML or damaged:
        # A whole header of RLE (PS3.5 G.5), and one segment that holds next to nothing.
        dataset.PixelData = encapsulate([struct.pack("<16L", 1, 64, *([0] * 14)) + b"\0" * 36])
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax
        data = to_bytes(dataset)
    elif syntax in (ExplicitVRBigEndian, RLELossless, JPEG2000Lossless):
        data = written_alone(dataset, syntax)
    else:
        data = written(dataset, syntax)
    assert (await stow(pacs.client, data)).status_code == 200
    return parsed(source)


def written_alone(dataset: Dataset, syntax: str) -> bytes:
    if syntax != ExplicitVRBigEndian:
        return written(dataset, syntax)
    item, nested = Dataset(), Dataset()
    nested.RedPaletteColorLookupTableData = b"\1\2\3\4"
    item.ReferencedImageSequence = [nested]
    dataset.RequestAttributesSequence = [item]
    return written(dataset, syntax)


def asked(syntax: str = EXPLICIT, kind: str = RELATED, q: str = "") -> str:
    return f"{kind}; transfer-syntax={syntax}{q}"


@pytest.mark.parametrize("syntax", WRITABLE, ids=lambda uid: uid.name)
@pytest.mark.parametrize("by", ["header", "query"])
async def test_an_instance_is_given_in_explicit_vr_little_endian(pacs: Service, syntax: str, by: str) -> None:
    source = await held(pacs, syntax)
    for kind in (SINGLE, RELATED):
        headers, query = ({"Accept": asked(kind=kind)}, {}) if by == "header" else ({}, {"accept": asked(kind=kind)})
        response = await pacs.client.get(place(source), headers=headers, params=query)
        assert response.status_code == 200, response.text
        if kind == SINGLE:
            assert response.headers["Content-Type"] == asked(kind=SINGLE)
            data = response.content
            assert response.headers["Content-Length"] == str(len(data))
        else:
            head, _, data = response.content.partition(b"\r\n\r\n")
            assert f"Content-Type: {asked(kind=SINGLE)}".encode() in head
        result = parsed(data)
        assert result.file_meta.TransferSyntaxUID == EXPLICIT
        assert (result.SOPInstanceUID, result.PixelData) == (source.SOPInstanceUID, source.PixelData)
        head_only = await pacs.client.head(place(source), headers=headers, params=query)
        same = {"content-type", "content-length"} if kind == SINGLE else set()
        assert head_only.status_code == 200
        assert all(head_only.headers[name] == response.headers[name] for name in same)


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("*/*", RLE),
        (RELATED, RLE),
        (asked("*"), RLE),
        (asked(RLE), RLE),
        (asked(), EXPLICIT),
        (f"{asked()}, {asked(RLE)}", RLE),
        (f"{asked()}, {asked('*')}", RLE),
        (f"{asked()}, {asked(RLE, q=';q=0.9')}", EXPLICIT),
        (f"{asked(q=';q=0.5')}, {asked(RLE, q=';q=0.9')}", RLE),
        (f"{asked()}, */*;q=0.1", EXPLICIT),
        (f"{asked(RLE, q=';q=0')}, {asked('*')}", None),
        (f"{asked(RLE, q=';q=0')}, {asked('*')}, {asked(q=';q=0.1')}", EXPLICIT),
        (asked(q=";q=0"), None),
        (asked(JPEG2000Lossless), None),
        (f"{asked(JPEG2000Lossless)}, {asked(q=';q=0.2')}", EXPLICIT),
        (asked(ImplicitVRLittleEndian), None),
        ("image/jpeg", None),
    ],
)
async def test_the_held_syntax_is_given_unless_another_is_liked_better(
    pacs: Service, accept: str, given: str | None
) -> None:
    source = await held(pacs, RLELossless)
    response = await pacs.client.get(place(source), headers={"Accept": accept})
    if given is None:
        assert response.status_code == 406
        assert RLE in response.json()["detail"]
        return
    assert response.status_code == 200
    assert f"transfer-syntax={given}\r\n".encode() in response.content


@pytest.mark.parametrize("damaged", [False, True])
async def test_what_cannot_be_decoded_is_given_as_it_is_held_or_refused(pacs: Service, damaged: bool) -> None:
    syntax = RLE if damaged else str(MPEG2MPML)
    source = await held(pacs, syntax, damaged=damaged)
    for path in (place(source), place(source).partition("/instances")[0]):
        for method in ("GET", "HEAD"):
            refused = await pacs.client.request(method, path, headers={"Accept": asked()})
            assert refused.status_code == 406
            assert method == "HEAD" or syntax in refused.json()["detail"]
    either = await pacs.client.get(place(source), headers={"Accept": f"{asked()}, {RELATED};q=0.1"})
    assert either.status_code == 200
    assert f"transfer-syntax={syntax}\r\n".encode() in either.content


async def test_a_study_of_which_one_has_no_decoder_is_refused_before_any_is_sent(pacs: Service) -> None:
    first = await held(pacs, RLELossless)
    await held(pacs, MPEG2MPML, of=first)
    study = place(first).partition("/series")[0]
    assert (await pacs.client.get(study, headers={"Accept": asked()})).status_code == 406
    both = f"{asked()}, {RELATED};q=0.5"
    response = await pacs.client.get(study, headers={"Accept": both})
    assert f"transfer-syntax={EXPLICIT}\r\n".encode() in response.content
    assert f"transfer-syntax={MPEG2MPML}\r\n".encode() in response.content


async def test_a_study_of_several_syntaxes_is_given_whole_in_one(pacs: Service) -> None:
    first = await held(pacs, RLELossless)
    others = [await held(pacs, syntax, of=first) for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian)]
    response = await pacs.client.get(place(first).partition("/series")[0], headers={"Accept": asked()})
    assert response.content.count(f"transfer-syntax={EXPLICIT}\r\n".encode()) == 3
    for one in (first, *others):
        assert one.PixelData in response.content


async def test_a_stream_breaks_off_where_a_later_instance_cannot_be_decoded(pacs: Service) -> None:
    first = await held(pacs, RLELossless)
    await held(pacs, RLELossless, of=first, damaged=True)
    server = uvicorn.Server(uvicorn.Config(pacs.app, port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"Accept": asked()}) as client:
            study = place(first).partition("/series")[0]
            async with client.stream("GET", study) as response:
                assert response.status_code == 200
                with pytest.raises(httpx.RemoteProtocolError):
                    await response.aread()
    finally:
        server.should_exit = True
        await serving


async def test_a_full_queue_is_429(pacs: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    source = await held(pacs, RLELossless)

    async def full(_: object, into: Scratch) -> None:
        into.close()
        raise Overloaded("Too many instances wait.")

    monkeypatch.setattr(pacs.app.state.service.transcoder, "transcode", full)
    response = await pacs.client.get(place(source), headers={"Accept": asked(kind=SINGLE)})
    assert (response.status_code, "Retry-After" in response.headers) == (429, True)


async def test_a_full_disk_is_507_and_leaves_no_file(pacs: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    source = await held(pacs, RLELossless)
    spool = pacs.app.state.service.studies._spool
    names = sorted(path.name for path in spool.folder.iterdir())
    assert (await pacs.client.get(place(source), headers={"Accept": asked(kind=SINGLE)})).status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(spool, "free_bytes", lambda: 0)
        response = await pacs.client.get(place(source), headers={"Accept": asked(kind=SINGLE)})
    assert response.status_code == 507
    assert sorted(path.name for path in spool.folder.iterdir()) == names


async def test_another_tenants_instance_is_not_made_anything_of(pacs: Service) -> None:
    unknown = place(parsed(instance(SOPInstanceUID=generate_uid())))
    response = await pacs.client.get(unknown, headers={"Accept": asked()})
    assert response.status_code == 404
    await asyncio.sleep(0)
    assert pacs.app.state.service.transcoder._pool is None
