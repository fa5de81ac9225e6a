"""What a conversation comes to: which image is read, what draws, and what is refused instead of guessed."""

import base64
import random
from typing import Any

import pytest

from app.api.http.conversation import Turn
from app.api.http.data_uri import bytes_of
from app.api.schemas.chat import ChatRequest
from app.errors import CxrError, MalformedInput
from tests.support.service import Service, encoded, gradient

PNG = encoded(gradient())
URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def said(text: str, *images: str, role: str = "user") -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in images]
    return {"role": role, "content": [*parts, *([{"type": "text", "text": text}] if text else [])]}


def turn(*messages: dict[str, Any], text_only: bool = False, **fields: Any) -> Turn:
    return Turn.from_request(ChatRequest(messages=list(messages), **fields), text_only=text_only)


@pytest.mark.parametrize(
    "text",
    [
        "Draw a chest",
        "draw a normal chest radiograph.",
        "Please, draw a normal chest radiograph",
        "Please draw an AP chest x-ray with a left-sided effusion.",
        "Can you draw a normal chest radiograph?",
        "could you please generate another chest X-ray of a child",
        "Generate a radiograph showing pneumonia",
        "Create a synthetic, frontal chest film of a patient with COVID-19",
        "Synthesise an x-ray",
        "Show me a chest radiograph with cardiomegaly",
        "paint one CXR please",
        "Generate an image of a chest X-ray with pneumonia.",
        "Draw a picture of a normal chest radiograph",
        "I want you to draw a chest x-ray.",
        "I'd like you to draw a chest X‑ray",
        "Make a chest X-ray with cardiomegaly",
        "Hello! Draw a chest radiograph.",
        "Draw a CXR demonstrating effusion",
        "Draw\n\n  a   chest radiograph",
    ],
)
def test_words_that_ask_for_a_radiograph_draw(text: str) -> None:
    assert turn(said(text)).draws


@pytest.mark.parametrize(
    "text",
    [
        "Show me how to treat pneumonia",
        "Show me how to read a chest x-ray",
        "Create a summary of pneumonia in two sentences.",
        "Create a summary of the chest x-ray",
        "draw the conclusion: what is pneumonia?",
        "Draw conclusions from the radiograph",
        "Generate a report for the chest x-ray",
        "Generate a report for this patient.",
        "Show me the chest x-ray findings",
        "Show me a chest x-ray report",
        "Draw attention to a chest tube",
        "Show x-rays of my father",
        "Show chest x-ray of the patient in bed 3",
        "Show me an x-ray from last week",
        "Show a chest radiograph that patient 4711 had",
        "Make a chest x-ray report",
        "Draw a picture of the situation of the chest clinic",
        "please" + " " * 50_000 + "x",
        "draw" + " " * 50_000 + "!",
        "please, " * 10_000 + "draw",
        "draw a " + "very-" * 10_000 + "chest",
        "create a list of chest radiograph signs",
        "Is there pneumonia?",
        "Hello, who are you?",
        "Write a report for this patient.",
        "Zeichne ein Röntgenbild",
        "Don't draw a chest radiograph",
    ],
)
def test_other_words_without_an_image_are_refused_and_draw_nothing(text: str) -> None:
    for modalities in (None, ["text"]):
        with pytest.raises(CxrError) as refused:
            turn(said(text), modalities=modalities)
        assert refused.value.code == "no_image"
    assert turn(said(text), modalities=["image"]).draws
    assert turn(said(text, URL)).image_url == URL
    answered = turn(said(text), text_only=True)
    assert (answered.draws, answered.image_url) == (False, None)


@pytest.mark.parametrize(
    "messages",
    [
        [said("Is there pneumonia in either?", URL, URL)],
        [said("", URL, URL)],
        [said("", URL, URL, URL), said("In the first?")],
        [said("", URL), said("", URL), said("In either?")],
        [said("", URL), said("And these?", URL, URL)],
    ],
)
async def test_several_images_of_a_message_are_refused(service: Service, messages: list[dict[str, Any]]) -> None:
    for stream in (False, True):
        body = {"messages": messages, "stream": stream}
        response = await service.client.post("/v1/chat/completions", json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "too_many_images")
    assert not service.engine.generations


DRAWN: dict[str, Any] = {
    "role": "assistant",
    "content": "A synthetic radiograph.",
    "images": [{"type": "image_url", "image_url": {"url": URL}, "index": 0}],
}


def test_an_image_that_is_shown_is_never_put_aside_for_a_drawing() -> None:
    asked = said("Is there pneumonia?", URL)
    read = turn(asked, modalities=["text", "image"])
    assert (read.draws, read.image_url) == (False, URL)
    with pytest.raises(CxrError) as refused:
        turn(asked, modalities=["image"])
    assert refused.value.code == "image_not_used"
    with pytest.raises(CxrError) as refused:
        turn(said("?", URL, URL), modalities=["text", "image"])
    assert refused.value.code == "too_many_images"


@pytest.mark.parametrize("modalities", [None, ["text", "image"], ["image"]])
def test_another_drawing_may_be_asked_for_after_one(modalities: list[str] | None) -> None:
    messages = [said("Draw a chest radiograph."), DRAWN, said("Draw another chest radiograph, now with pneumonia.")]
    assert turn(*messages, modalities=modalities).draws


def test_a_drawing_may_be_asked_about_next() -> None:
    asked = turn(said("Draw a chest radiograph."), DRAWN, said("Is there pneumonia?"))
    assert (asked.draws, asked.image_url, asked.text) == (False, URL, "Is there pneumonia?")


def test_words_and_image_may_be_sent_apart() -> None:
    for messages in ([said("Is there pneumonia?"), said("", URL)], [said("", URL), said("Is there pneumonia?")]):
        asked = turn(*messages)
        assert (asked.text, asked.image_url, asked.draws) == ("Is there pneumonia?", URL, False)


async def test_of_several_turns_the_latest_image_is_read_and_said(service: Service) -> None:
    messages = [said("First.", URL), said("Fine.", role="assistant"), said("And this?", URL)]
    answer = (await service.client.post("/v1/chat/completions", json={"messages": messages})).json()
    assert any("latest" in warning for warning in answer["warnings"])
    alone = (await service.client.post("/v1/chat/completions", json={"messages": messages[2:]})).json()
    assert not any("latest" in warning for warning in alone["warnings"])


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize("stream", [False, True])
async def test_instructions_that_change_nothing_are_said_to(service: Service, role: str, stream: bool) -> None:
    messages = [said("Answer only in German.", role=role), said("Normal?", URL)]
    body = {"messages": messages, "stream": stream}
    assert "change nothing" in (await service.client.post("/v1/chat/completions", json=body)).text
    drawn = {"messages": [messages[0], said("Draw a chest radiograph.")], "stream": stream}
    assert "change nothing" in (await service.client.post("/v1/chat/completions", json=drawn)).text


@pytest.mark.parametrize("path", ["/v1/reports", "/v1/answers", "/v1/images/edits", "/v1/images/tokens"])
async def test_two_images_of_a_form_are_refused(service: Service, path: str) -> None:
    files = [("image", ("a.png", PNG)), ("image", ("b.png", PNG))]
    response = await service.client.post(path, files=files, data={"question": "?", "prompt": "x"})
    assert response.status_code == 400
    assert "too_many_images" in response.text


@pytest.mark.parametrize(("field", "values"), [("seed", ["1", "2"]), ("seed", ["1", "1"]), ("temperature", ["0", "1"])])
async def test_a_field_that_may_be_once_is_refused_twice(service: Service, field: str, values: list[str]) -> None:
    data = {field: values}
    response = await service.client.post("/v1/reports", files={"image": PNG}, data=data)
    assert (response.status_code, response.json()["code"]) == (400, "repeated_field")
    assert field in response.json()["detail"]
    empty = await service.client.post("/v1/reports", files={"image": PNG}, data={field: ["", "1"]})
    assert empty.status_code == 200


@pytest.mark.parametrize(
    "uri",
    [
        "data:image/png;base64,{base64}",
        "data:image/png;charset=utf-8;base64,{base64}",
        "data:image/png;name=a.png;base64,{base64}",
        "data:application/dicom;transfer-syntax=1.2.840.10008.1.2;base64,{base64}",
        "data:image/dicom;base64,{base64}",
        "DATA:image/JPEG;BASE64,{base64}",
        "data:image/png;base64,{lines}",
        "  data:image/png;base64,{base64}\n",
        "data:image/png;base64,{escaped}",
        "data:application/octet-stream,{percent}",
    ],
)
def test_data_uris_are_read_as_rfc_2397_has_them(uri: str) -> None:
    text = base64.b64encode(PNG).decode()
    forms = {
        "base64": text,
        "lines": base64.encodebytes(PNG).decode(),
        "escaped": text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        "percent": "".join(f"%{byte:02X}" for byte in PNG),
    }
    assert bytes_of(uri.format(**forms)) == PNG


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 786_431, 786_432, 786_433, 3_145_729])
def test_large_data_uris_are_read_in_pieces(size: int, lines: bool) -> None:
    data = random.Random(size).randbytes(size)
    text = (base64.encodebytes if lines else base64.b64encode)(data).decode()
    assert bytes_of(f"data:image/png;base64,{text}") == data
    for broken in (text.strip()[:-1], f"{text}A", f"{text[:3]}={text}", f"{text}!", f"={text}"):
        with pytest.raises(MalformedInput):
            bytes_of(f"data:image/png;base64,{broken}")


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("data:image/png;base64," + "%41" * 400_000, "too_large"),
        ("data:image/png," + "A" * 1_100_000, "too_large"),
        ("https://example.org/a.png", "invalid_image_url"),
        ("file:///etc/passwd", "invalid_image_url"),
        ("data:text/html;base64,AAAA", "invalid_image_url"),
        ("data:image/png;base64", "invalid_image_url"),
        ("iVBORw0KGgo=", "invalid_image_url"),
        ("", "invalid_image_url"),
        ("data:image/png;base64,!!", "malformed"),
        ("data:image/png;base64,AAA", "malformed"),
    ],
)
def test_other_urls_are_refused_in_words(uri: str, code: str) -> None:
    with pytest.raises(CxrError) as refused:
        bytes_of(uri)
    assert refused.value.code == code
    assert "data" in refused.value.detail
