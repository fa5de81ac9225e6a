"""STOW-RS services and what their answers mean: stored, there already, refused, or nothing that can be relied on."""

import gzip
import itertools
import json
from pathlib import Path

import httpx
import pytest

from app.delivery.stow import StowDestination
from app.errors import DeliveryFailed
from app.settings import DestinationSettings
from tests.app.dicom.test_native_model import as_json, as_xml
from tests.support.studies import instance, parsed

JSON, XML = "application/dicom+json", "application/dicom+xml"
_NAMES = "json", "xml", "without a media type", "of a wrong one"
# How a service may send the same answer.
FORMS = [(as_json, JSON), (as_xml, XML), (as_xml, None), (as_xml, JSON)]
forms = pytest.mark.parametrize("form", FORMS, ids=_NAMES)


class Service:
    """A DICOMweb service that answers a request to store so, and holds some of the objects afterwards."""

    def __init__(self, status: int, body: bytes = b"", media_type: str | None = JSON) -> None:
        self.answer = (status, body, media_type)
        self.holds: set[str] = set()
        self.searching, self.metadata = 200, 200
        self.asked: list[httpx.URL] = []
        settings = DestinationSettings(name="pacs", dicomweb_url="http://pacs/dicom-web")
        self.destination = StowDestination(settings, httpx.MockTransport(self._serve))

    async def _serve(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        if request.method == "POST":
            status, body, media_type = self.answer
            return httpx.Response(status, content=body, headers={"Content-Type": media_type} if media_type else {})
        self.asked.append(request.url)
        if request.url.path.endswith("/metadata"):
            uid = request.url.path.split("/")[-2]
            return self._found(self.metadata, [uid] if uid in self.holds else [], 404)
        return self._found(self.searching, sorted(self.holds), 204)

    @staticmethod
    def _found(status: int, uids: list[str], none: int) -> httpx.Response:
        if status != 200:
            return httpx.Response(status)
        return httpx.Response(
            200 if uids else none, content=json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids])
        )


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Two objects by their SOP Instance UID."""
    found = {}
    for _ in range(2):
        data = instance()
        uid = parsed(data).SOPInstanceUID
        found[uid] = tmp_path / f"{uid}.dcm"
        found[uid].write_bytes(data)
    return found


async def code_of(service: Service, files: dict[str, Path]) -> tuple[str, bool] | None:
    """The code of the failure and whether it is permanent; None where all is delivered."""
    try:
        await service.destination.send(list(files.values()))
    except DeliveryFailed as error:
        return error.code, error.permanent
    return None


@forms
@pytest.mark.parametrize("status", [200, 202])
async def test_what_the_answer_lists_as_stored_is_delivered(files, form, status) -> None:  # type: ignore[no-untyped-def]
    encode, media_type = form
    service = Service(status, encode(list(files), []), media_type)
    assert await code_of(service, files) is None
    assert service.asked == []


@forms
@pytest.mark.parametrize("reason", [0x0111, 45070], ids=hex)
@pytest.mark.parametrize("status", [200, 202, 409])
async def test_what_is_there_already_is_delivered_and_logged(  # type: ignore[no-untyped-def]
    files, form, reason, status, capsys: pytest.CaptureFixture[str]
) -> None:
    encode, media_type = form
    first, second = files
    for stored, failed in (([], [first, second]), ([first], [second])):
        service = Service(status, encode(stored, [(uid, reason) for uid in failed]), media_type)
        assert await code_of(service, files) is None
        assert service.asked == []
        assert "already there" in "".join(capsys.readouterr())


@forms
@pytest.mark.parametrize(
    ("reason", "permanent"),
    [(0xA700, False), (0xA701, False), (0xA900, True), (0xC000, True), (0xC122, True), (0x0122, True), (0x0124, True)],
)
@pytest.mark.parametrize("status", [200, 202, 409])
async def test_a_failure_inside_an_answer_is_a_failure(files, form, reason, permanent, status) -> None:  # type: ignore[no-untyped-def]
    encode, media_type = form
    first, second = files
    code = "http_409" if status == 409 else f"stow_{reason:04X}"
    for stored, failed, others in (
        ([first], [(second, reason)], []),
        ([], [(first, 45070), (second, reason)], []),
        ([first], [], [reason]),
    ):
        service = Service(status, encode(stored, failed, others), media_type)
        assert await code_of(service, files) == (code, permanent)
        assert service.asked == []


# Says nothing, nothing that can be read, nothing of what was sent, or not of all of it.
SILENT = {
    "empty": b"",
    "blank": b" \n",
    "text": b"OK",
    "html": b"<html><body>Thank you</body></html>",
    "no objects": b"{}",
    "no objects in xml": as_xml([], []),
    "null": b"null",
    "cut off": as_json(["1.2.3"], [])[:-3],
    "too long": b'{"a": "' + b"a" * 2_000_000 + b'"}',
    "entities": b'<!DOCTYPE x [<!ENTITY a "1">]><NativeDicomModel/>',
}


@pytest.mark.parametrize("body", list(SILENT.values()), ids=list(SILENT))
@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_a_success_that_says_nothing_is_none_until_the_objects_are_found(files, body, status) -> None:  # type: ignore[no-untyped-def]
    service = Service(status, body)
    assert await code_of(service, files) == ("stow_unconfirmed", False)
    service.holds = set(list(files)[:1])
    assert await code_of(service, files) == ("stow_unconfirmed", False)
    service.holds = set(files)
    assert await code_of(service, files) is None


async def test_an_answer_that_leaves_one_out_is_looked_up_for_that_one(files) -> None:  # type: ignore[no-untyped-def]
    first, second = files
    service = Service(200, as_json([first], []))
    assert await code_of(service, files) == ("stow_unconfirmed", False)
    assert {str(url).split("/instances")[1] for url in service.asked} == {
        f"?SOPInstanceUID={second}",
        f"/{second}/metadata",
    }
    service.holds = {second}
    assert await code_of(service, files) is None


async def test_as_many_objects_under_other_uids_are_delivered(files) -> None:  # type: ignore[no-untyped-def]
    assert await code_of(Service(200, as_json(["1.2.3", "1.2.4"], [])), files) is None
    assert await code_of(Service(409, as_json([], [("1.2.3", 45070), ("1.2.4", 0x0111)])), files) is None


@pytest.mark.parametrize(("searching", "metadata"), list(itertools.product((200, 204, 400, 403, 404, 501), repeat=2)))
async def test_either_of_search_and_retrieval_is_enough(files, searching: int, metadata: int) -> None:  # type: ignore[no-untyped-def]
    service = Service(200)
    service.holds, service.searching, service.metadata = set(files), searching, metadata
    found = 200 in (searching, metadata)
    assert await code_of(service, files) == (None if found else ("stow_unconfirmed", False))


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("answer", [200, 409])
async def test_a_look_up_that_fails_for_now_decides_nothing(files, status: int, answer: int) -> None:  # type: ignore[no-untyped-def]
    service = Service(answer)
    service.searching = status
    assert await code_of(service, files) == ("stow_unconfirmed" if answer == 200 else "http_409", False)


async def test_a_service_that_ignores_the_key_of_the_search_proves_nothing(files) -> None:  # type: ignore[no-untyped-def]
    service = Service(200)
    service.holds = {"1.2.3", "1.2.4"}
    assert await code_of(service, files) == ("stow_unconfirmed", False)


@pytest.mark.parametrize("body", [b"", b"exists", as_xml([], [])], ids=["empty", "text", "no reasons"])
async def test_a_conflict_without_reasons_is_a_refusal_unless_the_objects_are_found(files, body: bytes) -> None:  # type: ignore[no-untyped-def]
    service = Service(409, body)
    assert await code_of(service, files) == ("http_409", True)
    service.holds = set(files)
    assert await code_of(service, files) is None


@forms
@pytest.mark.parametrize("reason", [0x0110, 0xB000, 0xB007, 45071], ids=hex)
@pytest.mark.parametrize("status", [202, 409])
async def test_a_reason_that_may_be_said_of_what_is_there_is_looked_up(files, form, reason, status) -> None:  # type: ignore[no-untyped-def]
    encode, media_type = form
    service = Service(status, encode([], [(uid, reason) for uid in files]), media_type)
    assert await code_of(service, files) == (f"stow_{reason:04X}" if status == 202 else "http_409", False)
    service.holds = set(files)
    assert await code_of(service, files) is None


async def test_a_compressed_answer_is_read_and_a_damaged_or_exploding_one_is_not(files) -> None:  # type: ignore[no-untyped-def]
    listed = as_json(list(files), [])
    for content, code in (
        (gzip.compress(listed), None),
        (b"no gzip", ("stow_unconfirmed", False)),
        (gzip.compress(listed[:-1] + b" " * 50_000_000 + b"}"), ("stow_unconfirmed", False)),
    ):
        service = Service(200)

        def answer(request: httpx.Request, content: bytes = content) -> httpx.Response:
            if request.method == "GET":
                return httpx.Response(404)
            stream = httpx.ByteStream(content)
            return httpx.Response(200, stream=stream, headers={"Content-Encoding": "gzip"})

        service.destination._client["transport"] = httpx.MockTransport(answer)
        assert await code_of(service, files) == code
