"""LlamaIndex's OpenAILike."""

from typing import Any

import openai
from harness import ABORTING, DRAWN, MODEL, PNG, REPORT, SERVICE, broken_off, case, is_png, refused, run
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.llms.openai_like import OpenAILike

SHOWN = ImageBlock(image=PNG, image_mimetype="image/png")
ABOUT = ChatMessage(role="user", blocks=[TextBlock(text="Is there pneumonia?"), SHOWN])
WISH = ChatMessage(role="user", content="Draw a chest radiograph")
NEXT = ChatMessage(role="user", content="And effusion?")


def model(**options: Any) -> OpenAILike:
    settings: dict[str, Any] = {"model": MODEL, "api_base": f"{SERVICE}/v1", "api_key": "unused", "max_retries": 0}
    return OpenAILike(is_chat_model=True, **settings | options)


def last(messages: list[ChatMessage], **options: Any) -> Any:
    return list(model(**options).stream_chat(messages))[-1].message


@case("a question about an image is answered, and an image alone is reported")
def _() -> None:
    for message in (ABOUT, ChatMessage(role="user", blocks=[SHOWN])):
        done = model().chat([message])
        assert done.message.content == REPORT
        assert done.raw.usage.prompt_tokens > 256


@case("a stream ends with the message of the unstreamed answer")
def _() -> None:
    streamed = last([ABOUT])
    assert (streamed.role, streamed.content) == ("assistant", model().chat([ABOUT]).message.content)


@case("a second turn takes the client's own message, streamed or not")
def _() -> None:
    for earlier in (model().chat([ABOUT]).message, last([ABOUT])):
        assert model().chat([ABOUT, earlier, NEXT]).message.content == REPORT


@case("a system message is answered with a warning that it changes nothing")
def _() -> None:
    done = model().chat([ChatMessage(role="system", content="Answer in German."), ABOUT])
    assert "change nothing" in done.raw.warnings[0]


@case("options that ask for nothing are taken")
def _() -> None:
    neutral = {"n": 1, "stop": None, "frequency_penalty": 0, "presence_penalty": 0, "response_format": {"type": "text"}}
    for seed in (-1, 2**63 - 1):
        asked = model(max_tokens=4096, temperature=0.0, additional_kwargs={**neutral, "seed": seed})
        assert asked.chat([ABOUT]).message.content == REPORT


@case("a wish is answered by its text, streamed or not, with the picture in the raw answer")
def _() -> None:
    # LlamaIndex makes blocks of a message's text alone.
    for done in (model().chat([WISH]), model().complete("Draw a chest radiograph")):
        assert is_png(done.raw.choices[0].message.images[0]["image_url"]["url"])
        assert str(done).endswith(DRAWN)
    assert last([WISH]).content == DRAWN


@case("errors are OpenAI's, with code and param")
def _() -> None:
    told: dict[str, object] = {"param": "messages", "status_code": 400}
    refused(lambda: model().complete("Is there pneumonia?"), openai.BadRequestError, code="no_image", **told)
    twice = ChatMessage(role="user", blocks=[SHOWN, SHOWN])
    refused(lambda: model().chat([twice]), openai.BadRequestError, code="too_many_images", **told)
    refused(lambda: model(model="gpt-4").chat([ABOUT]), openai.NotFoundError, code="model_not_found")


@case("a generation that breaks off in mid-stream is an error after the text so far")
def _() -> None:
    stream = model(api_base=f"{ABORTING}/v1").stream_chat([ABOUT])
    broken_off((step.delta for step in stream), openai.APIError, code="generation_aborted")


if __name__ == "__main__":
    run()
