"""LiteLLM's SDK, by its provider for OpenAI or by the one for servers like vLLM."""

import io
from typing import Any

import litellm
import openai
from harness import (
    ABORTING,
    BARE,
    DRAWN,
    GIVEN,
    MODEL,
    NEUTRAL,
    NEXT,
    PNG,
    QUESTION,
    REPORT,
    REPORTING,
    SERVICE,
    SYSTEM,
    TWICE,
    WISH,
    broken_off,
    case,
    is_png,
    refused,
    run,
)

PROVIDER = GIVEN["provider"]
CALL: dict[str, Any] = {"api_base": f"{SERVICE}/v1", "api_key": "unused", "max_retries": 0}
litellm.suppress_debug_info = True


def complete(messages: list[Any], model: str = MODEL, **options: Any) -> Any:
    return litellm.completion(model=f"{PROVIDER}/{model}", messages=messages, **CALL | options)


def accumulated(messages: list[Any], **options: Any) -> Any:
    return litellm.stream_chunk_builder(list(complete(messages, stream=True, **options)), messages=messages)


@case("a question about an image is answered, and an image alone is reported")
def _() -> None:
    for messages in (QUESTION, REPORTING):
        done = complete(messages)
        assert (done.choices[0].message.content, done.choices[0].finish_reason) == (REPORT, "stop")
        assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens


@case("the stream's own accumulator ends with the message and the usage of the unstreamed answer")
def _() -> None:
    whole = complete(QUESTION, seed=7)
    streamed = accumulated(QUESTION, seed=7, stream_options={"include_usage": True})
    message = streamed.choices[0].message
    assert (message.role, message.content) == ("assistant", whole.choices[0].message.content)
    assert streamed.usage.prompt_tokens == whole.usage.prompt_tokens
    assert streamed.usage.completion_tokens == whole.usage.completion_tokens


@case("a second turn takes the client's own message, streamed or not")
def _() -> None:
    for earlier in (complete(QUESTION), accumulated(QUESTION)):
        done = complete([*QUESTION, earlier.choices[0].message, NEXT])
        assert done.choices[0].message.content == REPORT


@case("a system message is answered with a warning that it changes nothing")
def _() -> None:
    done = complete([SYSTEM, *QUESTION])
    assert done.choices[0].message.content == REPORT
    assert "change nothing" in done.warnings[0]


@case("options that ask for nothing are taken")
def _() -> None:
    for seed in (-1, 2**63 - 1):
        assert complete(QUESTION, seed=seed, **NEUTRAL).choices[0].message.content == REPORT
    assert complete(QUESTION, stop=[" clear"]).choices[0].message.content == "The lungs are"


@case("a wish draws, streamed or not: a text in content, the picture in the message's images")
def _() -> None:
    for drawn in (complete(WISH), accumulated(WISH)):
        message = drawn.choices[0].message
        assert message.content == DRAWN
        assert is_png(message.images[0]["image_url"]["url"])
        done = complete([*WISH, message, NEXT])
        assert done.choices[0].message.content == REPORT


@case("images are drawn, two at once")
def _() -> None:
    drawn = litellm.image_generation(model=f"{PROVIDER}/{MODEL}", prompt="Normal.", n=2, size="256x256", **CALL)
    assert [is_png(one.b64_json) for one in drawn.data] == [True, True]
    assert drawn.usage.output_tokens == 512


@case("an image is edited, given alone or in a list")
def _() -> None:
    # Whatever it is given, LiteLLM sends it as `image[]`.
    for given in (io.BytesIO(PNG), [io.BytesIO(PNG)]):
        edited = litellm.image_edit(image=given, model=f"{PROVIDER}/{MODEL}", prompt="Effusion.", **CALL)
        assert is_png(edited.data[0].b64_json)


@case("errors are the client's own, with the service's words")
def _() -> None:
    # The provider for vLLM keeps the body as a text, and neither its code nor its param.
    told = {"code": "no_image", "param": "messages"} if PROVIDER == "openai" else {}
    for call in (lambda: complete(BARE), lambda: complete(BARE, stream=True)):
        assert "there is no image" in refused(call, litellm.BadRequestError, status_code=400, **told)
    assert "2 images" in refused(lambda: complete(TWICE), litellm.BadRequestError, status_code=400)
    assert MODEL in refused(lambda: complete(QUESTION, "gpt-4"), litellm.NotFoundError, status_code=404)


@case("the Responses API is refused in words")
def _() -> None:
    # LiteLLM takes a 404 of the Responses API for a BadRequestError.
    words = refused(
        lambda: litellm.responses(input="x", model=f"{PROVIDER}/{MODEL}", **CALL),
        litellm.BadRequestError,
        status_code=404,
    )
    assert "/v1/chat/completions" in words


@case("a generation that breaks off in mid-stream is an error after the text so far")
def _() -> None:
    stream = complete(QUESTION, stream=True, api_base=f"{ABORTING}/v1")
    words = broken_off((chunk.choices[0].delta.content or "" for chunk in stream), openai.APIError)
    assert "ended the generation before its end" in words


if __name__ == "__main__":
    run()
