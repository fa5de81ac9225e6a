"""OpenAI's `logprobs` of chats: in step with the text, streamed and not, as OpenAI's types have them."""

import base64
import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.support.service import Service, encoded, gradient

URL = "/v1/chat/completions"
IMAGE = f"data:image/png;base64,{base64.b64encode(encoded(gradient())).decode()}"
SHOWN = [{"type": "image_url", "image_url": {"url": IMAGE}}]
ASKED = [{"type": "text", "text": "Is it normal?"}, *SHOWN]
TEXTS = ["The lungs are clear.", "  Herzgröße 肺野 normal. 🫁", "a", "One. Two. \n"]


def request(content: Any, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], **fields}


async def chunks(service: Service, body: dict[str, Any]) -> list[ChatCompletionChunk]:
    response = await service.client.post(URL, json={**body, "stream": True})
    assert response.status_code == 200, response.text
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [ChatCompletionChunk.model_validate(json.loads(line)) for line in lines[:-1]]


def joined(tokens: list[Any]) -> str:
    return b"".join(bytes(one.bytes) for one in tokens).decode()


@pytest.mark.parametrize("content", [SHOWN, ASKED], ids=["report", "answer"])
@pytest.mark.parametrize("text", TEXTS)
async def test_the_tokens_joined_are_the_text(service: Service, content: Any, text: str) -> None:
    service.engine.text = text
    response = await service.client.post(URL, json=request(content, logprobs=True, top_logprobs=3))
    (choice,) = ChatCompletion.model_validate(response.json()).choices
    assert choice.logprobs is not None
    tokens = choice.logprobs.content or []
    assert joined(tokens).strip() == choice.message.content == text.strip()
    assert {one.logprob for one in tokens} == {-0.25}
    assert all(1 <= len(one.top_logprobs) <= 3 for one in tokens)
    assert [one.logprob for one in tokens[0].top_logprobs] == [-0.25, -1.25, -2.25]
    assert tokens[0].top_logprobs[0].token == tokens[0].token


@pytest.mark.parametrize("chunk", [1, 3, 16])
@pytest.mark.parametrize("text", TEXTS)
async def test_streamed_each_piece_of_text_comes_with_its_tokens(service: Service, text: str, chunk: int) -> None:
    service.engine.text, service.engine.chunk = text, chunk
    body = request(ASKED, logprobs=True, top_logprobs=2)
    whole = ChatCompletion.model_validate((await service.client.post(URL, json=body)).json()).choices[0].logprobs
    told, tokens = "", []
    for one in await chunks(service, body):
        choice = one.choices[0]
        if not choice.delta.content:
            assert choice.logprobs is None
            continue
        told += choice.delta.content
        assert choice.logprobs is not None
        tokens += choice.logprobs.content or []
        assert joined_so_far(tokens).startswith(told.rstrip())
    assert told == text.strip()
    assert whole is not None
    assert tokens == whole.content


def joined_so_far(tokens: list[Any]) -> str:
    return b"".join(bytes(one.bytes) for one in tokens).decode("utf-8", "ignore").lstrip()


async def test_behind_a_stop_no_token_is_told(service: Service) -> None:
    service.engine.text, service.engine.chunk = "One. Two. Three.", 4
    body = request(ASKED, logprobs=True, stop=" Three")
    (choice,) = ChatCompletion.model_validate((await service.client.post(URL, json=body)).json()).choices
    assert choice.logprobs is not None
    assert joined(choice.logprobs.content or []) == choice.message.content == "One. Two."
    streamed = [one.choices[0].logprobs for one in await chunks(service, body)]
    assert joined([token for one in streamed if one for token in one.content or []]) == "One. Two."


async def test_no_token_stands_among_the_likeliest_that_a_text_cannot_have(service: Service) -> None:
    # The fake's likeliest are the ids behind the one taken: those of the last bytes reach into what is no text.
    service.engine.text = "image"
    response = await service.client.post(URL, json=request(ASKED, logprobs=True, top_logprobs=20))
    (token,) = response.json()["choices"][0]["logprobs"]["content"]
    assert token["token"] == "image"
    assert [one["token"] for one in token["top_logprobs"]] == ["image", "### End"]


async def test_what_a_text_cannot_have_takes_no_place_of_what_it_can(service: Service) -> None:
    # The control tokens stand between the last of the text's, which is `image`, and the ids of images.
    service.engine.text = "a"
    response = await service.client.post(URL, json=request(ASKED, logprobs=True, top_logprobs=2))
    assert service.engine.generations[-1].top_logprobs == 20
    (token,) = response.json()["choices"][0]["logprobs"]["content"]
    assert len(token["top_logprobs"]) == 2


@pytest.mark.parametrize("fields", [{}, {"logprobs": False}, {"logprobs": None}, {"top_logprobs": 0}])
async def test_who_does_not_ask_pays_nothing(service: Service, fields: dict[str, Any]) -> None:
    body = (await service.client.post(URL, json=request(ASKED, **fields))).json()
    assert body["choices"][0]["logprobs"] is None
    assert service.engine.generations[-1].top_logprobs is None
    assert all(one.choices[0].logprobs is None for one in await chunks(service, request(ASKED, **fields)))


async def test_without_top_logprobs_only_the_tokens_themselves_are_told(service: Service) -> None:
    response = await service.client.post(URL, json=request(ASKED, logprobs=True))
    assert all(one["top_logprobs"] == [] for one in response.json()["choices"][0]["logprobs"]["content"])
    assert service.engine.generations[-1].top_logprobs == 0


@pytest.mark.parametrize(
    ("content", "fields", "param", "said"),
    [
        ("Draw a chest radiograph.", {"logprobs": True}, "logprobs", "drawing"),
        (ASKED, {"top_logprobs": 2}, "top_logprobs", "`logprobs: true`"),
        (ASKED, {"logprobs": False, "top_logprobs": 2}, "top_logprobs", "`logprobs: true`"),
        (ASKED, {"logprobs": True, "top_logprobs": 21}, "top_logprobs", "20"),
    ],
)
async def test_what_cannot_be_told_is_refused_in_words(
    service: Service, content: Any, fields: dict[str, Any], param: str, said: str
) -> None:
    response = await service.client.post(URL, json=request(content, **fields))
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, param)
    assert said in error["message"]
