"""Wire models of OpenAI's chat completions, as far as a model that reads and draws radiographs has them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from app.api.schemas.common import NOTICE, Seed, Temperature, TopP, WireModel


class TextPart(WireModel):
    """Words of a message."""

    type: Literal["text"]
    text: str


class ImageUrl(WireModel):
    """An image as a data URI: PNG, JPEG or DICOM; other URLs are not fetched."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(WireModel):
    """An image of a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class Message(WireModel):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]
    name: str | None = None


class StreamOptions(WireModel):
    """What a stream ends with."""

    include_usage: bool = False


class ChatRequest(WireModel):
    """Ask in the form of a chat; the conversation's latest image and the user's last words count."""

    messages: Annotated[list[Message], Field(min_length=1)]
    model: str | None = None
    modalities: list[Literal["text", "image"]] | None = Field(
        default=None, description="with `image` the answer is a drawing; unset: where the words ask for one"
    )
    n: Literal[1] = 1
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: Seed | None = None
    user: str | None = None


class ChatUsage(WireModel):
    """Tokens in and out, as OpenAI counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(WireModel):
    """The answer: words, or the drawn image as an image part."""

    role: Literal["assistant"] = "assistant"
    content: str | list[Part]
    refusal: None = None


class Choice(WireModel):
    """The one answer."""

    index: Literal[0] = 0
    message: AssistantMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class ChatBody(WireModel):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage
    seed: int
    warnings: list[str] = Field(default=[], description="how the image was taken: what was assumed, turned or doubted")
    notice: str = NOTICE

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        """A `chat.completion.chunk` of this completion."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        head = {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model}
        return {**head, "choices": [choice]}
