"""What is wrong with a request, in words: the field by its name, never a value, a kind or a type."""

from typing import Any

import pytest

from tests.support.service import Service

CHAT = "/v1/chat/completions"


def said(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, *parts]}]}


def of_image(image: Any) -> dict[str, Any]:
    return said({"type": "image_url", "image_url": image})


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"messages": []}, "messages", "at least 1"),
        ({**said(), "top_k": 1}, "top_k", "is not known here"),
        ({**said(), "BaseModel": 1}, "BaseModel", "is not known here"),
        ({**said(), "int": 1}, "int", "is not known here"),
        ({"messages": [{"role": "user"}]}, "messages.0.content", "is missing"),
        ({"messages": [{"role": "user", "content": "x", "surprise": 1}]}, "messages.0.surprise", "is not known here"),
        (of_image("data:x"), "messages.0.content.1.image_url", "dictionary"),
        (said({"type": "image_url"}), "messages.0.content.1.image_url", "is missing"),
        (of_image({"url": "x", "detail": 5}), "messages.0.content.1.image_url.detail", ""),
        (said({"type": "text", "text": 5}), "messages.0.content.1.text", "string"),
        (said({"type": "video_url"}), "messages.0.content.1", "is none of"),
        ({"messages": [{"role": "sentinel", "content": "x"}]}, "messages.0", "is none of"),
        ({"messages": [{"role": ["sentinel"], "content": "x"}]}, "messages.0", "is none of"),
        ({**said(), "stop": "a" * 2_001}, "stop", "at most 2000"),
        ({**said(), "stop": ["a" * 2_001]}, "stop.0", "at most 2000"),
    ],
)
async def test_an_error_names_the_field_and_says_what_is_wrong(
    service: Service, body: dict[str, Any], param: str, words: str
) -> None:
    response = await service.client.post(CHAT, json=body)
    error = response.json()["error"]
    assert response.status_code == 400
    assert (error["message"].partition(": ")[0], words in error["message"]) == (param, True), error["message"]
    assert not any(word in error["message"] for word in ("sentinel", "union", "TextPart", "str]"))


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "k" * 3_000_000, "content": "x"}]},
        {**said(), "k" * 3_000_000: 1},
        {**said(), **dict.fromkeys(map(str, range(9_000)), 1)},
        {"messages": [{"role": "user", "content": "x", **dict.fromkeys(map(str, range(9)), 1)}] * 900},
    ],
    ids=["role", "name", "names", "messages"],
)
async def test_an_error_is_short_whatever_it_is_about(service: Service, body: dict[str, Any]) -> None:
    response = await service.client.post(CHAT, json=body)
    assert response.status_code == 400
    assert len(response.content) < 2_000


async def test_more_fields_than_a_request_can_have_are_refused_before_they_are_looked_at(service: Service) -> None:
    response = await service.client.post(CHAT, json=dict.fromkeys(map(str, range(11_000))))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "malformed")
