"""Wire models of OpenAI's chat completions, as far as a model that reads and draws radiographs has them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field

from app.api.schemas.common import (
    NOTICE,
    BestOf,
    GuidanceScale,
    NearestTrainingImage,
    ReadingBody,
    Seed,
    Temperature,
    Text,
    TopP,
    WireModel,
)
from app.api.schemas.neutral import ANYTHING, neutral
from app.inference.token_logprobs import TokenLogprob


class TextPart(WireModel):
    """Words of a message."""

    type: Literal["text"]
    text: Text


class ImageUrl(WireModel):
    """An image as a data URI: PNG, JPEG or DICOM; other URLs are not fetched."""

    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(WireModel):
    """An image of a message."""

    type: Literal["image_url"]
    image_url: ImageUrl
    index: int | None = None


class RefusalPart(WireModel):
    """What an assistant would not do."""

    type: Literal["refusal"]
    refusal: str


def _of_kind(name: str) -> BeforeValidator:
    """Cut what names a kind: an error quotes it, more than once."""

    def cut(value: Any) -> Any:
        kind = value.get(name) if isinstance(value, dict) else None
        return {**value, name: kind[:_LONGEST_KIND]} if isinstance(kind, str) else value

    return BeforeValidator(cut)


_LONGEST_KIND = 32
Part = Annotated[TextPart | ImagePart | RefusalPart, Field(discriminator="type"), _of_kind("type")]
_MOST_PARTS, _MOST_MESSAGES = 1_000, 1_000


class GivenMessage(WireModel):
    """A turn of the user's, or an instruction."""

    role: Literal["system", "developer", "user"]
    content: Text | Annotated[list[Part], Field(max_length=_MOST_PARTS)]
    name: str | None = None


class EarlierMessage(WireModel):
    """An earlier answer: as this service has given it, or any other, of which only text and images are looked at."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["assistant"]
    content: Text | Annotated[list[Part], Field(max_length=_MOST_PARTS)] | None = None
    images: Annotated[list[ImagePart], Field(max_length=_MOST_PARTS)] | None = None


Message = Annotated[GivenMessage | EarlierMessage, Field(discriminator="role"), _of_kind("role")]


# Longer than any report is.
Stop = Annotated[str, Field(max_length=2_000)]


class StreamOptions(WireModel):
    """What a stream ends with."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(WireModel):
    """Ask in the form of a chat; the conversation's latest image and the user's last words count."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=_MOST_MESSAGES)]
    model: str | None = None
    modalities: list[Literal["text", "image"]] | None = Field(
        default=None,
        description="with `image`, and none shown, the answer is a drawing; unset: where the words ask for one",
    )
    n: Literal[1] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: Annotated[int, Field(ge=1, description="the service's limit counts where it is lower")] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: Seed | None = None
    guidance_scale: GuidanceScale | None = None
    best_of: BestOf | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = Field(
        default=None, description="the text ends before the first of these"
    )
    user: str | None = None
    logprobs: bool | None = Field(
        default=None, description="tell of each token of the answer in text how likely it was; not of a drawing"
    )
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = Field(
        default=None, description="with `logprobs`: how many of the likeliest tokens are told of each place"
    )

    audio: Annotated[Any, neutral()] = None
    frequency_penalty: Annotated[Any, neutral(0)] = None
    function_call: Annotated[Any, neutral("none", "auto")] = None
    functions: Annotated[Any, neutral([])] = None
    logit_bias: Annotated[Any, neutral({})] = None
    metadata: Annotated[Any, neutral(ANYTHING)] = None
    moderation: Annotated[Any, neutral(ANYTHING)] = None
    parallel_tool_calls: Annotated[Any, neutral(ANYTHING)] = None
    prediction: Annotated[Any, neutral()] = None
    presence_penalty: Annotated[Any, neutral(0)] = None
    prompt_cache_key: Annotated[Any, neutral(ANYTHING)] = None
    prompt_cache_options: Annotated[Any, neutral(ANYTHING)] = None
    prompt_cache_retention: Annotated[Any, neutral(ANYTHING)] = None
    reasoning_effort: Annotated[Any, neutral(ANYTHING)] = None
    response_format: Annotated[Any, neutral({"type": "text"})] = None
    safety_identifier: Annotated[Any, neutral(ANYTHING)] = None
    service_tier: Annotated[Any, neutral(ANYTHING)] = None
    store: Annotated[Any, neutral(False)] = None
    tool_choice: Annotated[Any, neutral("none", "auto")] = None
    tools: Annotated[Any, neutral([])] = None
    verbosity: Annotated[Any, neutral(ANYTHING)] = None
    web_search_options: Annotated[Any, neutral()] = None


class ChatUsage(WireModel):
    """Tokens in and out, as OpenAI counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(WireModel):
    """The answer in words; a drawing is among the images, as a data URI."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    images: list[ImagePart] | None = Field(default=None, exclude_if=lambda images: images is None)


class TopLogprobBody(WireModel):
    """A token that could have been in a place, among the likeliest there."""

    token: str
    logprob: float
    bytes: list[int]


def _token(token: bytes, logprob: float) -> dict[str, Any]:
    """A token of these bytes, which may be part of a character."""
    return {"token": token.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(token)}


class TokenLogprobBody(TopLogprobBody):
    """A token of the answer."""

    top_logprobs: list[TopLogprobBody]


class LogprobsBody(WireModel):
    """The tokens of the answer in text, or of a chunk of it; joined they are the text with its blanks at either end."""

    content: list[TokenLogprobBody]
    refusal: None = None

    @classmethod
    def from_tokens(cls, tokens: Sequence[TokenLogprob]) -> Self:
        """Tokens as OpenAI's clients take them."""
        content = [
            TokenLogprobBody(
                **_token(one.token, one.logprob), top_logprobs=[TopLogprobBody(**_token(*other)) for other in one.top]
            )
            for one in tokens
        ]
        return cls(content=content)


class Choice(WireModel):
    """The one answer."""

    index: Literal[0] = 0
    message: AssistantMessage
    finish_reason: Literal["stop", "length"]
    logprobs: LogprobsBody | None = None


class ChatBody(WireModel):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage
    seed: int
    nearest: NearestTrainingImage | None = Field(
        default=None,
        description="of a drawing, where the bundle has an index of its training images",
        exclude_if=lambda nearest: nearest is None,
    )
    warnings: list[str] = Field(default=[], description="how the image was taken: what was assumed, turned or doubted")
    reading: ReadingBody | None = Field(
        default=None, exclude_if=lambda reading: reading is None, description="of a drawing, with `best_of` above 1"
    )
    notice: str = NOTICE
