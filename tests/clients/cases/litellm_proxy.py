"""OpenAI's client through a LiteLLM proxy, whose models `chest` and `aborting` are the service."""

from typing import Any

import openai
from harness import (
    BARE,
    DRAWN,
    GIVEN,
    NEUTRAL,
    NEXT,
    PNG,
    QUESTION,
    REPORT,
    REPORTING,
    SYSTEM,
    TWICE,
    WISH,
    broken_off,
    case,
    is_png,
    refused,
    run,
)

CLIENT = openai.OpenAI(base_url=f"{GIVEN['proxy']}/v1", api_key=GIVEN["key"], max_retries=0)


def complete(messages: list[Any], model: str = "chest", **options: Any) -> Any:
    return CLIENT.chat.completions.create(model=model, messages=messages, **options)


def accumulated(messages: list[Any], **options: Any) -> Any:
    with CLIENT.chat.completions.stream(model="chest", messages=messages, **options) as stream:
        return stream.get_final_completion()


@case("models are listed")
def _() -> None:
    assert {model.id for model in CLIENT.models.list()} == {"chest", "aborting"}


@case("a question about an image is answered, and an image alone is reported")
def _() -> None:
    for messages in (QUESTION, REPORTING):
        done = complete(messages)
        assert (done.choices[0].message.content, done.choices[0].finish_reason) == (REPORT, "stop")
        assert done.usage.prompt_tokens > 256


@case("the stream's own accumulator ends with the message and the usage of the unstreamed answer")
def _() -> None:
    whole = complete(QUESTION, seed=7)
    streamed = accumulated(QUESTION, seed=7, stream_options={"include_usage": True})
    message = streamed.choices[0].message
    assert (message.role, message.content) == ("assistant", whole.choices[0].message.content)
    assert streamed.usage.total_tokens == whole.usage.total_tokens


@case("a second turn takes the client's own message, streamed or not")
def _() -> None:
    for earlier in (complete(QUESTION), accumulated(QUESTION)):
        assert complete([*QUESTION, earlier.choices[0].message, NEXT]).choices[0].message.content == REPORT


@case("a system message is answered with a warning that it changes nothing")
def _() -> None:
    assert "change nothing" in complete([SYSTEM, *QUESTION]).warnings[0]


@case("options that ask for nothing are taken")
def _() -> None:
    for seed in (-1, 2**63 - 1):
        assert complete(QUESTION, seed=seed, **NEUTRAL).choices[0].message.content == REPORT


@case("a wish draws, streamed or not: a text in content, the picture in the message's images")
def _() -> None:
    for drawn in (complete(WISH), accumulated(WISH)):
        message = drawn.choices[0].message
        assert message.content == DRAWN
        assert is_png(message.images[0]["image_url"]["url"])
        assert complete([*WISH, message, NEXT]).choices[0].message.content == REPORT


@case("images are drawn, two at once")
def _() -> None:
    drawn = CLIENT.images.generate(model="chest", prompt="Normal.", n=2, size="256x256")
    assert [is_png(one.b64_json) for one in drawn.data] == [True, True]


@case("a streamed image fails inside the proxy")
def _() -> None:
    # LiteLLM takes the events for one JSON object, whatever server sends them.
    words = refused(
        lambda: list(CLIENT.images.generate(model="chest", prompt="Normal.", stream=True)),
        openai.InternalServerError,
    )
    assert "'str' object has no attribute 'model_dump'" in words


@case("an image is edited, given alone or in a list")
def _() -> None:
    file = ("chest.png", PNG, "image/png")
    for given in (file, [file]):
        edited = CLIENT.images.edit(model="chest", image=given, prompt="Effusion.")
        assert is_png(edited.data[0].b64_json)


@case("errors keep the service's status, param and words")
def _() -> None:
    # For a code they have the status: LiteLLM's own.
    for call in (lambda: complete(BARE), lambda: complete(BARE, stream=True)):
        assert "there is no image" in refused(call, openai.BadRequestError, code="400", param="messages")
    assert "2 images" in refused(lambda: complete(TWICE), openai.BadRequestError, code="400", param="messages")


@case("the Responses API is refused in words")
def _() -> None:
    words = refused(lambda: CLIENT.responses.create(model="chest", input="x"), openai.NotFoundError)
    assert "/v1/chat/completions" in words


@case("a generation that breaks off in mid-stream is an error after the text so far")
def _() -> None:
    stream = complete(QUESTION, "aborting", stream=True)
    words = broken_off((chunk.choices[0].delta.content or "" for chunk in stream), openai.APIError)
    assert "ended the generation before its end" in words


if __name__ == "__main__":
    run()
