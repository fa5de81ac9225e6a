"""Forms are read as their models say."""

import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import Request
from starlette.types import Message

from app.api.http.forms import form_body, read_form
from app.api.schemas.reports import AnswerForm, ReportForm
from app.errors import ClientGone
from tests.support.service import Service, encoded, gradient

URL = "/v1/reports"


async def test_a_field_that_nobody_filled_in_counts_as_not_given(service: Service) -> None:
    fields = {"temperature": "", "instruction": "", "seed": "7"}
    response = await service.client.post(URL, files={"image": encoded(gradient())}, data=fields)
    assert response.status_code == 200, response.text
    assert response.json()["seed"] == 7


async def test_text_in_the_place_of_a_file_is_400_and_named(service: Service) -> None:
    response = await service.client.post(URL, files={"image": (None, "no file"), "seed": (None, "1")})
    assert response.status_code == 400
    assert response.json()["detail"].startswith("image: ")
    nothing = await service.client.post(URL, files={"image": (None, ""), "seed": (None, "1")})
    assert nothing.json()["detail"] == "image: is missing"


async def test_a_list_takes_every_part_of_its_name(service: Service) -> None:
    parts = [("image", ("a.png", encoded(gradient()))), ("seed", (None, "2"))]
    questions = [("question", (None, "One?")), ("question", (None, "Two?"))]
    response = await service.client.post("/v1/answers", files=[*parts, *questions])
    assert response.status_code == 200, response.text
    answers = response.json()["answers"]
    assert [answer["question"] for answer in answers] == ["One?", "Two?"]
    assert [answer["seed"] for answer in answers] == [2, 3]


async def test_a_large_upload_that_went_to_disk_is_read_whole(service: Service) -> None:
    image = encoded(gradient())
    padded = image + bytes(3_000_000)  # the framework keeps a megabyte in memory
    response = await service.client.post("/v1/images/tokens", files={"image": padded})
    assert response.status_code == 200, response.text


def _form(*parts: tuple[str, bytes], boundary: str = "x", end: str = "--") -> bytes:
    lines = [
        f"--{boundary}\r\nContent-Disposition: form-data; {names}\r\n\r\n".encode() + data for names, data in parts
    ]
    return b"\r\n".join([*lines, f"--{boundary}{end}".encode()])


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (_form(('name="image"; filename="a"', b"1"), end=""), "The multipart body is malformed."),
        (_form(('filename="a"', b"1"))[:-9], "The multipart body is malformed."),
        (b"no form at all", "The multipart body is malformed."),
        (b"", "The multipart body is malformed."),
        (_form(*[('name="image"', b"1")] * 1001), "The multipart body is malformed."),
        (_form(('name="instruction"', b"\xff\xfe")), "A text of the form is not UTF-8."),
        (_form(('name="instruction"', b"a" * 1_000_001)), "A text of the form is too long."),
        (
            _form(('name="surprise"; filename="a"', b"1"), ('name="image"; filename="a"', b"1")),
            "surprise: is not known here",
        ),
    ],
)
async def test_a_form_that_is_none_is_400_and_says_why(service: Service, body: bytes, detail: str) -> None:
    response = await service.client.post(URL, content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert response.status_code == 400
    assert response.json()["detail"].startswith(detail)


async def test_a_form_is_read_whatever_its_boundary_and_its_chunks(service: Service) -> None:
    boundary = "a b'(c)+_,-./:=?"
    upload = encoded(gradient()) + f"\r\n--{boundary[:-1]}".encode() + b"\r"
    body = b"before\r\n" + _form(('name="seed"', b"5"), ('name="image"; filename="a"', upload), boundary=boundary)

    async def one_by_one() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    headers = {"Content-Type": f'Multipart/Form-Data; boundary="{boundary}"'}
    response = await service.client.post(URL, content=one_by_one(), headers=headers)
    assert response.status_code == 200, response.text
    assert response.json()["seed"] == 5
    assert response.json()["image"]["sha256"] == hashlib.sha256(upload).hexdigest()


async def test_a_client_that_leaves_in_the_middle_of_its_form_has_gone() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"--x\r\n", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    with pytest.raises(ClientGone):
        await read_form(Request({"type": "http", "method": "POST", "headers": headers}, receive), ReportForm)


async def test_nothing_of_an_upload_stays_on_disk(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    part = ('name="image"; filename="a"', encoded(gradient()) + bytes(2_000_000))
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for body, status in ((_form(part), 200), (_form(part)[:-5], 400)):
        response = await service.client.post("/v1/images/tokens", content=body, headers=headers)
        assert response.status_code == status, response.text
    open_files = [
        os.readlink(f"/proc/self/fd/{number}")
        for number in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{number}")
    ]
    assert not [path for path in open_files if path.startswith(str(tmp_path))]


def test_the_document_shows_the_form_and_its_upload() -> None:
    (content,) = form_body(AnswerForm)["requestBody"]["content"].items()
    assert content[0] == "multipart/form-data"
    schema = content[1]["schema"]
    assert schema["properties"]["image"]["contentMediaType"] == "application/octet-stream"
    assert sorted(schema["required"]) == ["image", "question"]
    assert "$defs" not in schema


IMAGE_FIELD = b'form-data; name="image"'


@pytest.mark.parametrize(
    "disposition",
    [
        IMAGE_FIELD + b'; filename="r\xf6ntgen.png"',
        IMAGE_FIELD + '; filename="röntgen.png"'.encode(),
        IMAGE_FIELD + '; filename="レントゲン.png"'.encode("shift-jis"),
        IMAGE_FIELD + b"; filename*=UTF-8''r%C3%B6ntgen.png",
        IMAGE_FIELD + b'; filename=""',
        IMAGE_FIELD,
    ],
)
async def test_a_file_is_taken_whatever_its_name_or_without_one(service: Service, disposition: bytes) -> None:
    head = b"--x\r\nContent-Disposition: " + disposition + b"\r\nContent-Type: image/png\r\n\r\n"
    body = head + encoded(gradient()) + b"\r\n--x--\r\n"
    for kind in (
        "multipart/form-data; boundary=x",
        "multipart/form-data; BOUNDARY=x",
        'multipart/form-data; boundary="x"',
    ):
        response = await service.client.post("/v1/reports", content=body, headers={"Content-Type": kind})
        assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("charset", "text"), [("iso-8859-1", "Erguß?"), ("utf-8", "Erguß?"), ("windows-1252", "“Erguß”?")]
)
async def test_a_text_is_read_in_the_charset_of_its_part(service: Service, charset: str, text: str) -> None:
    question = (None, text.encode(charset), f"text/plain; charset={charset}")
    files = [("image", ("a.png", encoded(gradient()))), ("question", question)]
    response = await service.client.post("/v1/answers", files=files)
    assert response.json()["answers"][0]["question"] == text


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1252", "utf-8", ""])
async def test_a_form_names_the_charset_of_its_texts(service: Service, charset: str) -> None:
    form = [("_charset_", (None, charset)), ("question", (None, "Erguß?".encode(charset or "utf-8")))]
    response = await service.client.post("/v1/answers", files=[*form, ("image", encoded(gradient()))])
    assert response.status_code == 200, response.text
    assert response.json()["answers"][0]["question"] == "Erguß?"


async def test_a_charset_that_is_not_known_is_refused(service: Service) -> None:
    form = [("_charset_", (None, "klingon")), ("question", (None, "x"))]
    response = await service.client.post("/v1/answers", files=[*form, ("image", encoded(gradient()))])
    assert (response.status_code, response.json()["detail"]) == (400, "question: the charset of the part is not known.")


@pytest.mark.parametrize("questions", [["Effusion?", ""], ["", "Effusion?\n"], [" Effusion? "]])
async def test_questions_are_stripped_and_empty_ones_are_none(service: Service, questions: list[str]) -> None:
    response = await service.client.post(
        "/v1/answers", files={"image": encoded(gradient())}, data={"question": questions}
    )
    assert [answer["question"] for answer in response.json()["answers"]] == ["Effusion?"]
    blank = await service.client.post("/v1/answers", files={"image": encoded(gradient())}, data={"question": "   "})
    assert blank.status_code == 400


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        (b"undefined", b"x"),
        (b"idna", b"xn--a-" + b"a" * 70),
        (b"punycode", b"a-99999"),
        (b"punycode", b"a" * 400_000 + b"-" + b"9a" * 200_000),
        (b"unicode_escape", b"\\ud83e"),
        (b"utf-7", b"+2D4-"),
        (b"rot13", b"x"),
        (b"hex", b"00"),
        (b"utf-16", b"\x00\xd8"),
    ],
)
@pytest.mark.parametrize("whole", [False, True], ids=["part", "form"])
async def test_what_is_no_encoding_of_text_is_refused(
    service: Service, charset: bytes, text: bytes, whole: bool
) -> None:
    named = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n'
    kind = b"" if whole else b"Content-Type: text/plain; charset=" + charset + b"\r\n"
    form = named % b"_charset_" + b"\r\n" + charset + b"\r\n" if whole else b""
    body = form + named % b"question" + kind + b"\r\n" + text + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    response = await service.client.post("/v1/answers", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "malformed")


async def test_the_texts_of_a_form_are_bounded_together(service: Service) -> None:
    data = {"question": ["\U0001f600" + "a" * 600_000] * 4}
    response = await service.client.post("/v1/answers", files={"image": encoded(gradient())}, data=data)
    assert (response.status_code, response.json()["code"]) == (400, "malformed")
