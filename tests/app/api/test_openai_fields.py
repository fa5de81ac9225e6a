"""Fields of OpenAI's requests: taken where they ask for nothing, refused by name where they ask for what is not done.

They come from the installed `openai` package's types: a new one fails here, not at a user's.
"""

import base64
import json
import typing
from typing import Any

import pytest
from openai.types import image_edit_params, image_generate_params
from openai.types.chat import chat_completion_assistant_message_param, completion_create_params

from app.api.schemas.images import RedrawForm
from tests.support.service import Service, encoded, gradient

PNG = encoded(gradient())
URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
ASKED = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": URL}}]}]
CHAT = typing.get_type_hints(completion_create_params.CompletionCreateParamsBase).keys() | {"stream"}
DRAW = typing.get_type_hints(image_generate_params.ImageGenerateParamsBase).keys() | {"stream"}
EDIT = typing.get_type_hints(image_edit_params.ImageEditParamsBase).keys() | {"stream"}
# What asks for nothing, beside null.
NEUTRAL: dict[str, list[Any]] = {
    "frequency_penalty": [0, 0.0],
    "presence_penalty": [0, 0.0],
    "logprobs": [False],
    "top_logprobs": [0],
    "logit_bias": [{}],
    "stop": [[], "never", ["never", "ever"]],
    "tools": [[]],
    "tool_choice": ["none", "auto"],
    "functions": [[]],
    "function_call": ["none", "auto"],
    "parallel_tool_calls": [True, False],
    "response_format": [{"type": "text"}],
    "store": [False],
    "metadata": [{"a": "b"}],
    "service_tier": ["auto", "default"],
    "prompt_cache_key": ["x"],
    "safety_identifier": ["x"],
    "reasoning_effort": ["none", "low"],
    "verbosity": ["medium"],
    "stream_options": [{}, {"include_usage": False}, {"include_obfuscation": False}],
    "n": [1],
    "seed": [-1, 0, 2**31, 2**63 - 1],
    "max_tokens": [1, 4096, 1_000_000],
    "max_completion_tokens": [4096],
    "temperature": [0, 2],
    "user": ["x"],
    "modalities": [["text"]],
}
REFUSED: dict[str, list[Any]] = {
    "frequency_penalty": [0.5, False],
    "presence_penalty": [-1],
    "logprobs": ["x"],
    "top_logprobs": [3, -1, 21],
    "logit_bias": [{"5": 1}],
    "tools": [[{"type": "function", "function": {"name": "f"}}]],
    "tool_choice": ["required"],
    "response_format": [{"type": "json_object"}],
    "store": [True],
    "n": [2],
    "audio": [{"voice": "alloy", "format": "wav"}],
    "prediction": [{"type": "content", "content": "x"}],
    "web_search_options": [{}],
    "seed": [-2, 2**63],
    "max_tokens": [0, -1],
}
DRAW_NEUTRAL: dict[str, list[Any]] = {
    "n": [1, 2],
    "size": ["auto", "256x256"],
    "quality": ["auto", "standard"],
    "background": ["auto", "opaque"],
    "moderation": ["auto", "low"],
    "output_compression": [100],
    "output_format": ["png", "jpeg", "webp"],
    "response_format": ["b64_json"],
    "partial_images": [0],
    "style": ["natural"],
    "seed": [-1, 2**40],
}
DRAW_REFUSED: dict[str, list[Any]] = {
    "background": ["transparent"],
    "quality": ["hd"],
    "size": ["1024x1024"],
    "style": ["vivid"],
    "output_format": ["gif"],
    "n": [0, 11],
    "svg": [{"x": 1}],
}


def cases(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in table.items() for value in values]


def named(response: Any, field: str) -> bool:
    error = response.json()["error"]
    return response.status_code == 400 and str(error["param"]).startswith(field) and field in error["message"]


@pytest.mark.parametrize("field", sorted(CHAT - {"messages", "model"}))
async def test_a_chat_takes_null_for_every_field(service: Service, field: str) -> None:
    response = await service.client.post("/v1/chat/completions", json={"messages": ASKED, field: None})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(("field", "value"), cases(NEUTRAL))
async def test_a_chat_takes_what_asks_for_nothing(service: Service, field: str, value: Any) -> None:
    response = await service.client.post("/v1/chat/completions", json={"messages": ASKED, field: value})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(("field", "value"), cases(REFUSED))
async def test_a_chat_refuses_by_name_what_is_not_done(service: Service, field: str, value: Any) -> None:
    response = await service.client.post("/v1/chat/completions", json={"messages": ASKED, field: value})
    assert named(response, field), response.text


@pytest.mark.parametrize("field", sorted(DRAW - {"prompt", "model"}))
async def test_a_drawing_takes_null_for_every_field(service: Service, field: str) -> None:
    response = await service.client.post("/v1/images/generations", json={"prompt": "x", field: None})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(("field", "value"), cases(DRAW_NEUTRAL))
async def test_a_drawing_takes_what_asks_for_nothing(service: Service, field: str, value: Any) -> None:
    response = await service.client.post("/v1/images/generations", json={"prompt": "x", field: value})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(("field", "value"), cases(DRAW_REFUSED))
async def test_a_drawing_refuses_by_name_what_is_not_done(service: Service, field: str, value: Any) -> None:
    response = await service.client.post("/v1/images/generations", json={"prompt": "x", field: value})
    assert named(response, field), response.text


def test_every_field_of_an_edit_is_known() -> None:
    assert set(RedrawForm.model_fields) >= EDIT


async def test_an_edit_takes_its_image_as_a_list_of_one_and_refuses_a_mask_in_words(service: Service) -> None:
    for files in ([("image[]", ("a.png", PNG))], [("image", ("a.png", PNG))]):
        response = await service.client.post("/v1/images/edits", files=files, data={"prompt": "x"})
        assert response.status_code == 200, response.text
    two = [("image[]", ("a.png", PNG)), ("image[]", ("b.png", PNG))]
    response = await service.client.post("/v1/images/edits", files=two, data={"prompt": "x"})
    assert response.json()["error"]["code"] == "too_many_images"
    masked = [("image", ("a.png", PNG)), ("mask", ("m.png", PNG))]
    assert named(await service.client.post("/v1/images/edits", files=masked, data={"prompt": "x"}), "mask")


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": "x", "refusal": None, "annotations": [], "audio": None, "tool_calls": None},
        {"role": "assistant", "content": None, "tool_calls": [], "function_call": None},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "assistant", "content": "x", "reasoning_content": "y", "images": None},
        {"role": "assistant"},
    ],
)
async def test_earlier_answers_are_taken_as_clients_keep_them(service: Service, message: dict[str, Any]) -> None:
    messages = [*ASKED, message, {"role": "user", "content": "And effusion?"}]
    response = await service.client.post("/v1/chat/completions", json={"messages": messages})
    assert response.status_code == 200, response.text


def test_every_field_of_an_earlier_answer_is_among_those() -> None:
    fields = set(typing.get_type_hints(chat_completion_assistant_message_param.ChatCompletionAssistantMessageParam))
    assert fields == {"role", "content", "name", "refusal", "audio", "function_call", "tool_calls"}


@pytest.mark.parametrize("role", ["tool", "function"])
async def test_messages_of_tools_are_refused_by_name(service: Service, role: str) -> None:
    messages = [*ASKED, {"role": role, "content": "x", "tool_call_id": "1"}]
    response = await service.client.post("/v1/chat/completions", json={"messages": messages})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "messages.1"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("stop", "kept"), [("clear", "The lungs are"), (["zzz", "are"], "The lungs"), ("The", "")])
async def test_an_answer_ends_before_a_stop(service: Service, stop: Any, kept: str, stream: bool) -> None:
    service.engine.chunk = 2
    body = {"messages": ASKED, "stop": stop, "stream": stream}
    response = await service.client.post("/v1/chat/completions", json=body)
    if not stream:
        choice = response.json()["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == (kept, "stop")
        return
    chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas).strip() == kept
    assert [delta["role"] for delta in deltas if "role" in delta] == ["assistant"]
