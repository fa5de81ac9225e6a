"""What a conversation comes to: the words that count, the image that is read, whether it draws, what is unheard."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.api.http.data_uri import bytes_of
from app.api.http.drawing_words import asks_to_draw
from app.api.schemas.chat import ChatRequest, EarlierMessage, ImagePart, Message, TextPart
from app.errors import InvalidRequest

_UNHEARD = "System and developer messages change nothing: the model was not trained to follow them."
_SHORT = 262_144
_LATEST = "Of the conversation's images the latest was read."


@dataclass(frozen=True)
class Turn:
    """The last user's words, the URL of the image that they are about, whether to draw, and warnings."""

    text: str
    image_url: str | None
    draws: bool
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_request(cls, body: ChatRequest, *, text_only: bool) -> "Turn":
        """`text_only` says that the model answers without an image, too. Raises InvalidRequest."""
        spoken = _last_turn(body.messages)
        if not spoken:
            raise InvalidRequest("messages: there is no message of the user")
        text = "\n".join(part.text for message in spoken for part in _parts(message, TextPart)).strip()
        shown = [image for message in spoken for image in _images(message)]
        draws = _draws(body.modalities, text, bool(shown))
        before = [message for message in body.messages if not any(message is one for one in spoken)]
        earlier = [images for message in before if (images := _images(message))]
        if not text and (draws or not (shown or earlier)):
            raise InvalidRequest("messages: the user's last message has no words")
        warnings = [_UNHEARD] if any(message.role in ("system", "developer") for message in body.messages) else []
        if draws:
            return cls(text, None, True, tuple(warnings))
        images = shown or (earlier[-1] if earlier else [])
        if not images:
            _check_text_only(text_only)
            return cls(text, None, False, tuple(warnings))
        if len(images) > 1:
            detail = f"messages: {len(images)} images are shown, and one is read at a time: ask about each by itself"
            raise InvalidRequest(detail, code="too_many_images")
        if len(earlier) + bool(shown) > 1:
            warnings.append(_LATEST)
        return cls(text, images[0].image_url.url, False, tuple(warnings))

    async def image(self) -> bytes | None:
        """The bytes of the image. Raises InvalidRequest, MalformedInput."""
        url = self.image_url
        if url is None or len(url) < _SHORT:
            return None if url is None else bytes_of(url)
        return await asyncio.to_thread(bytes_of, url)


def _last_turn(messages: Sequence[Message]) -> list[Message]:
    """The user's messages after the last answer: a client may send words and image apart."""
    spoken: list[Message] = []
    for message in reversed(messages):
        if message.role == "user":
            spoken.insert(0, message)
        elif spoken and message.role == "assistant":
            break
    return spoken


def _draws(modalities: Sequence[str] | None, text: str, shown: bool) -> bool:
    """Whether to draw. Raises InvalidRequest where only a drawing is wanted and an image is shown."""
    if modalities is None:
        return not shown and asks_to_draw(text)
    if "image" not in modalities:
        return False
    if not shown:
        return True
    if "text" in modalities:
        return False  # a question about the image
    raise InvalidRequest(
        "messages: a drawing is made of words alone. Leave the image out, add `text` to modalities to ask about it, or"
        " send it to /v1/images/edits.",
        code="image_not_used",
    )


def _check_text_only(allowed: bool) -> None:
    if not allowed:
        raise InvalidRequest(
            "messages: there is no image, and the model answers about images only. Send one as a data URI, or ask for a"
            ' drawing ("Draw a chest radiograph with ...", or modalities: ["image"]).',
            code="no_image",
        )


def _parts(message: Message, kind: type[Any]) -> Sequence[Any]:
    content = [TextPart(type="text", text=message.content)] if isinstance(message.content, str) else message.content
    return [part for part in content or () if isinstance(part, kind)]


def _images(message: Message) -> Sequence[ImagePart]:
    """The images of a message; a drawing of ours is beside its text."""
    drawn = (message.images or []) if isinstance(message, EarlierMessage) else []
    return [*_parts(message, ImagePart), *drawn]
