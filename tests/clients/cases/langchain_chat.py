"""LangChain's ChatOpenAI."""

from typing import Any

import openai
from harness import (
    ABORTING,
    DRAWN,
    IMAGE,
    MODEL,
    QUESTION,
    REPORT,
    SERVICE,
    SHOWN,
    TWICE,
    broken_off,
    case,
    refused,
    run,
)
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

ABOUT = HumanMessage(QUESTION[0]["content"])
WISH = "Draw a chest radiograph"


class Finding(BaseModel):
    """An answer that LangChain would have in a structure."""

    pneumonia: bool


def model(**options: Any) -> ChatOpenAI:
    settings: dict[str, Any] = {"model": MODEL, "base_url": f"{SERVICE}/v1", "api_key": "unused", "max_retries": 0}
    return ChatOpenAI(**settings | options)


def accumulated(question: Any, **options: Any) -> Any:
    first, *others = model(**options).stream(question)
    return sum(others, first)


@case("a question about an image is answered, and an image alone is reported")
def _() -> None:
    # An image in OpenAI's words, and in LangChain's own.
    blocks = {"type": "image", "base64": IMAGE.partition(",")[2], "mime_type": "image/png"}
    for message in (ABOUT, HumanMessage([SHOWN]), HumanMessage([blocks])):
        done = model().invoke([message])
        assert (done.content, done.response_metadata["finish_reason"]) == (REPORT, "stop")
        assert done.usage_metadata["input_tokens"] > 256


@case("several questions at once are each answered")
def _() -> None:
    assert [done.content for done in model().batch([[ABOUT]] * 4)] == [REPORT] * 4


@case("the sum of the stream's chunks is the unstreamed answer, with its usage where it is asked for")
def _() -> None:
    whole = model(seed=7).invoke([ABOUT])
    assert accumulated([ABOUT], seed=7).content == whole.content
    assert accumulated([ABOUT], seed=7).usage_metadata is None
    assert accumulated([ABOUT], seed=7, stream_usage=True).usage_metadata == whole.usage_metadata


@case("a second turn takes the client's own message, streamed or not")
def _() -> None:
    for earlier in (model().invoke([ABOUT]), accumulated([ABOUT])):
        assert model().invoke([ABOUT, earlier, HumanMessage("And effusion?")]).content == REPORT


@case("a system message is taken")
def _() -> None:
    # LangChain keeps no field of a body that it does not know, so not the warning that it changes nothing.
    assert model().invoke([SystemMessage("Answer in German."), ABOUT]).content == REPORT


@case("options that ask for nothing are taken")
def _() -> None:
    neutral: dict[str, Any] = {
        "temperature": 0.0,
        "top_p": 1.0,
        "n": 1,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "logprobs": False,
        "logit_bias": {},
        "max_tokens": 4096,
        "model_kwargs": {"response_format": {"type": "text"}, "parallel_tool_calls": True, "user": "someone"},
    }
    for seed in (-1, 2**63 - 1):
        assert model(seed=seed, **neutral).invoke([ABOUT]).content == REPORT
    assert model(stop=[" clear"]).invoke([ABOUT]).content == "The lungs are"


@case("a wish is answered by its text, streamed or not")
def _() -> None:
    # LangChain reads the text of a message, and not the pictures beside it.
    assert model().invoke(WISH).content == DRAWN
    assert accumulated(WISH).content == DRAWN


@case("errors are OpenAI's, with code and param")
def _() -> None:
    told: dict[str, object] = {"param": "messages", "status_code": 400}
    refused(lambda: model().invoke("Is there pneumonia?"), openai.BadRequestError, code="no_image", **told)
    refused(lambda: accumulated("Is there pneumonia?"), openai.BadRequestError, code="no_image", **told)
    twice = HumanMessage(TWICE[0]["content"])
    refused(lambda: model().invoke([twice]), openai.BadRequestError, code="too_many_images", **told)
    refused(lambda: model(model="gpt-4").invoke([ABOUT]), openai.NotFoundError, code="model_not_found")


@case("structured answers and tools are refused by their names")
def _() -> None:
    structured = model().with_structured_output(Finding)
    refused(lambda: structured.invoke([ABOUT]), openai.BadRequestError, param="response_format")
    refused(lambda: model().bind_tools([Finding]).invoke([ABOUT]), openai.BadRequestError, param="tools")


@case("the Responses API is refused in words")
def _() -> None:
    words = refused(lambda: model(use_responses_api=True).invoke([ABOUT]), openai.NotFoundError, code="not_found")
    assert "/v1/chat/completions" in words


@case("a generation that breaks off in mid-stream is an error after the text so far")
def _() -> None:
    stream = model(base_url=f"{ABORTING}/v1").stream([ABOUT])
    broken_off((chunk.content for chunk in stream), openai.APIError, code="generation_aborted")


if __name__ == "__main__":
    run()
