"""What a conversation comes to: the words that count, the image that is read, whether it draws, what is unheard."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.api.http.data_uri import bytes_of
from app.api.schemas.chat import ChatRequest, EarlierMessage, ImagePart, Message, TextPart
from app.errors import InvalidRequest

_UNHEARD = "System and developer messages change nothing: the model was not trained to follow them."
_SHORT = 262_144
_LATEST = "Of the conversation's images the latest was read."

_POLITE = r"\s*(?:(?:please|now|ok(?:ay)?)\s*,?\s+)*(?:(?:can|could|would|will) you\s+(?:please\s+)?)?"
_VERB = r"(?:draw|generate|create|synthesi[sz]e|paint|show)\s+(?:me\s+)?"
# Words between the article and the picture: of "a summary of the chest x-ray" nothing is drawn.
_QUALITIES = r"(?:(?!of\b|the\b|for\b|from\b|in\b|on\b|about\b|to\b|how\b|what\b|with\b|and\b)[\w-]+,?\s+){0,5}?"
_PICTURE = r"(?:chest(?:\s+(?:x-?rays?|radiographs?|films?|images?|pictures?))?|radiographs?|x-?rays?|cxrs?)"
_END = r"(?=\s*(?:$|[.,;:!?]|(?:with|without|of|showing|that|which|where|in|from|having|please)\b))"
_ASKS_TO_DRAW = re.compile(f"{_POLITE}{_VERB}(?:an?|another|one|some|two)?\\s*{_QUALITIES}{_PICTURE}{_END}", re.I)


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
        spoken = next((message for message in reversed(body.messages) if message.role == "user"), None)
        if spoken is None:
            raise InvalidRequest("messages: there is no message of the user")
        shown = [images for message in body.messages if (images := _images(message))]
        text = "\n".join(part.text for part in _parts(spoken, TextPart)).strip()
        asked = not shown and _ASKS_TO_DRAW.match(text) is not None
        draws = asked if body.modalities is None else "image" in body.modalities
        if not text and (draws or not shown):
            raise InvalidRequest("messages: the user's last message has no words")
        warnings = [_UNHEARD] if any(message.role in ("system", "developer") for message in body.messages) else []
        if draws:
            return cls(text, None, True, tuple(warnings))
        if not shown:
            _check_text_only(text_only)
            return cls(text, None, False, tuple(warnings))
        if len(shown[-1]) > 1:
            count = len(shown[-1])
            detail = f"messages: the message has {count} images, and one is read at a time: ask about each by itself"
            raise InvalidRequest(detail, code="too_many_images")
        if len(shown) > 1:
            warnings.append(_LATEST)
        return cls(text, shown[-1][0].image_url.url, False, tuple(warnings))

    async def image(self) -> bytes | None:
        """The bytes of the image. Raises InvalidRequest, MalformedInput."""
        url = self.image_url
        if url is None or len(url) < _SHORT:
            return None if url is None else bytes_of(url)
        return await asyncio.to_thread(bytes_of, url)


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
